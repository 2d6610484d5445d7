"""Overrides that shrink the quickstart configs until a training step takes milliseconds."""

_ANY_TASK: dict[str, object] = {
  'data.name': 'talking_faces/tiny',
  'data.batch_size': 4,
  'data.eval_batches': 1,
  'model.image_size': 32,
  'log_every': 5,
}
_EITHER_TASK = _ANY_TASK | {
  'model.audio_widths': (4, 4, 8, 8, 8),
  'model.audio_residuals': (0, 0, 0, 0),
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
  'lip_reader': _ANY_TASK
  | {
    'model.mouth_size': 16,
    'model.stem_width': 4,
    'model.stem_kernel': 3,
    'model.lip_widths': (4, 8),
    'model.lip_depths': (1, 1),
    'model.width': 8,
    'model.layers': 1,
    'model.heads': 2,
    'model.hidden': 16,
    'model.position_kernel': 5,
    'model.position_groups': 2,
    'data.clip_frames': 25,
  },
}
