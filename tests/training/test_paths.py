"""Paths in training configs."""

from lpips_jax.training import paths
from lpips_jax.training.config_schema import SCHEMA, TEXT


def test_paths_are_texts_of_the_config():
  assert all(SCHEMA[key] is TEXT for key in paths.KEYS)
