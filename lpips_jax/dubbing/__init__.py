"""Dubbing: a face and speech in, a video out in which the face speaks it."""

from lpips_jax.dubbing.engine import Dubber, dub
from lpips_jax.dubbing.options import Options

__all__ = ['Dubber', 'Options', 'dub']
