"""The models: each is its densities."""
