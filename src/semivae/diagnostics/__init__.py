"""What a trained model has learned, over a whole set of rows; one idea a file, all in nats.

Everything asks a model for what `models.evaluating.EvaluatedModel` lists, runs in eval mode
without gradients (each module's own mode comes back), and takes rows in chunks, so that memory
does not grow with the set. Random numbers are keyed by the seed and the number of the chunk: the
same seed and chunks give the same result.

In all that is said of the classifier, q(y|x) is the one that is predicted. What a model samples
once per example (a of ADGM and SDGM, z1 of M1+M2) is at its mean in q(z|x, y) (`encodings`,
`surgery`), drawn with each z for log p(x) (`evidence`), and given in the inference gap
(`posterior`), as one draw a row.
"""
