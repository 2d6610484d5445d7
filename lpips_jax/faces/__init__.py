"""Faces in pictures: found, followed, cropped, turned and pasted; no JAX."""
