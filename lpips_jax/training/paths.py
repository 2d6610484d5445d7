"""Keys of a training config that name directories or files, each of which may be in a bucket."""

from lpips_jax.core.constants import FROZEN

KEYS = 'data.data_dir', 'init_from', 'perceptual.source', *FROZEN
FLAGS = tuple(f'config.{key}' for key in KEYS)  # as command lines give them
