"""Keys of a training config that name directories or files, each of which may be in a bucket."""

KEYS = 'data.data_dir', 'sync_expert', 'init_from', 'silent_generator', 'perceptual.source'
FLAGS = tuple(f'config.{key}' for key in KEYS)  # as command lines give them
