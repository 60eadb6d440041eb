"""The command line in this process, and a run to look at."""

from contextlib import chdir
from pathlib import Path

import pytest
from running import Cli, Ended

from semivae.cli import main


@pytest.fixture
def cli(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Cli:
    """Runs `semivae` with these arguments in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        code = ended.value.code
        assert code is None or isinstance(code, int)
        return Ended(code or 0, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on digits of one epoch: a model with all its files, not a good one."""
    folder = tmp_path_factory.mktemp("trained")
    with chdir(folder), pytest.raises(SystemExit) as ended:
        main(["fit", "digits", "--labels", "20", "--epochs", "1", "--no-baseline", "--out", "run"])
    assert not ended.value.code
    return folder / "run"
