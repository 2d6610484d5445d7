"""Overrides that shrink the quickstart configs until a training step takes milliseconds."""

_EITHER_TASK = {
  'data.name': 'talking_faces/tiny',
  'data.batch_size': 4,
  'data.eval_batches': 1,
  'model.image_size': 32,
  'model.audio_widths': (4, 4, 8, 8, 8),
  'model.audio_residuals': (0, 0, 0, 0),
  'log_every': 5,
}
TINY_OVERRIDES: dict[str, dict[str, object]] = {  # task -> dotted config key -> value
  'sync_expert': _EITHER_TASK
  | {
    'model.face_widths': (4, 4, 4, 8, 8, 8, 8),
    'model.face_residuals': (0, 0, 0, 0, 0),
    'data.windows': 3,
    'diagnosis_clips': 2,
  },
  'generator': _EITHER_TASK
  | {
    'model.widths': (4, 8),
    'discriminator.image_size': 32,
    'discriminator.widths': (2, 4, 4, 4, 4, 4, 4),
  },
}
