"""How a piece of the paper is asked for: how many seeds, the name of its files, the command."""

USUAL_SEEDS = 3


def seeds_of(asked: int | None, quick: bool, usual: int = USUAL_SEEDS) -> range:
    """The seeds of a row, from 0 on: as many as asked for, else its own number, in a quick look
    1."""
    if asked is not None:
        return range(asked)
    return range(1 if quick else usual)


def named(piece: str, quick: bool) -> str:
    """What the files of a piece are called: a quick look does not replace the whole."""
    return f"{piece}-quick" if quick else piece


def command(piece: str, asked: int | None, quick: bool) -> str:
    """The command that makes a piece."""
    seeds = "" if asked is None else f" --seeds {asked}"
    return f"semivae reproduce {piece}{seeds}{' --quick' if quick else ''}"
