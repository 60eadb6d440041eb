"""The error that means "what you gave me cannot be used": a sentence, the bad value, the fix."""


class InputError(ValueError):
    """Bad input or wrong use: the command line prints it as one sentence and exits with code 2.

    The message names the bad value and what to do about it.

    >>> raise InputError("labels=7 is fewer than the 10 classes: give at least 10")
    Traceback (most recent call last):
        ...
    semivae.errors.InputError: labels=7 is fewer than the 10 classes: give at least 10
    """
