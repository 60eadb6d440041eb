"""Readers of the original files, label splits and batches."""
