"""LPIPS in JAX: VGG16 features, the distance between them, and where their weights come from."""

from lpips_jax.perceptual.distance import features, lpips
from lpips_jax.perceptual.weights import load_weights, random_weights, write_weights

__all__ = ['features', 'load_weights', 'lpips', 'random_weights', 'write_weights']
