"""A PyTorch library for many examples and few labels."""
