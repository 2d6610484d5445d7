"""Dubbing: a face and speech in, a video out in which the face speaks it."""

from lpips_jax.dubbing.engine import dub

__all__ = ['dub']
