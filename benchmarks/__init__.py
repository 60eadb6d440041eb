"""Studies of speed and accuracy, with their results beside them; not part of the package."""
