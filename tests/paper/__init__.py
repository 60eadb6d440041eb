"""A package, so that test_runs.py here and the one above are two modules."""
