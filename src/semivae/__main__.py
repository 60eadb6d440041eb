"""`python -m semivae`: the command line."""

from semivae.cli import main

if __name__ == "__main__":
    main()
