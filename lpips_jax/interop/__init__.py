"""Conversion: released weights of other projects to our checkpoints (`convert`), and ours to files (`export`)."""
