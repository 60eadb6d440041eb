"""What a trained model has learned, over a whole set of rows; one idea a file, all in nats.

Everything asks a model for `encode`, its densities and `log_likelihood`, runs in eval mode without
gradients (each module's own mode comes back), and takes rows in chunks, so that memory does not
grow with the set. Random numbers are keyed by the seed and the number of the chunk: the same seed
and chunks give the same result.
"""
