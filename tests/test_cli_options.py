"""The options of every command, frozen: a script that works today works tomorrow.

Adding one means adding it here; removing or renaming one breaks the contract of design.md 4.
"""

import typer

from semivae.cli import app

OPTIONS = {
    "semivae": "--version",
    "fit": (
        "DATA --labels --validation --holdout --recipe --objective --set --seed --epochs "
        "--max-minutes --out --resume --no-baseline --data-dir --json"
    ),
    "predict": "RUN INPUT --out --force --data-dir --json",
    "evaluate": "RUN INPUT --samples --rows --seed --data-dir --json",
    "sample": "RUN --out --class -n --seed --force",
    "recipes": "--json",
    "reproduce": "NAME... --quick --seeds --jobs --out --data-dir --json",
}


def test_the_options_are_those_of_the_contract() -> None:
    group = typer.main.get_command(app)
    commands = {"semivae": group, **group.commands}  # type: ignore[attr-defined]
    found = {
        name: " ".join(
            "/".join(part.opts) if part.param_type_name == "option" else str(part.metavar)
            for part in command.params
        )
        for name, command in commands.items()
    }
    assert found == OPTIONS
