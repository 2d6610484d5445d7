"""Overrides that shrink the quickstart configs until a training step takes milliseconds."""

_ANY: dict[str, object] = {
  'data.name': 'talking_faces/tiny',
  'data.batch_size': 4,
  'data.eval_batches': 1,
  'model.image_size': 32,
  'log_every': 5,
}
_HEARING = _ANY | {
  'model.audio_widths': (4, 4, 8, 8, 8),
  'model.audio_residuals': (0, 0, 0, 0),
}
_OF_CLIPS: dict[str, object] = {'data.clip_frames': 25}
_SEEING_LIPS = (
  _ANY
  | _OF_CLIPS
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
  }
)
_GENERATOR = _HEARING | {
  'model.widths': (4, 8),
  'discriminator.image_size': 32,
  'discriminator.widths': (2, 4, 4, 4, 4, 4, 4),
}
TINY_OVERRIDES: dict[str, dict[str, object]] = {  # config of quickstart.py -> dotted config key -> value
  'sync_expert': _HEARING
  | {
    'model.face_widths': (4, 4, 4, 8, 8, 8, 8),
    'model.face_residuals': (0, 0, 0, 0, 0),
    'data.windows': 3,
    'diagnosis_clips': 2,
  },
  'lip_reader': _SEEING_LIPS,
  'av_expert': _SEEING_LIPS | {'model.clusters': 6, 'losses.shift': 5},
  'generator': _GENERATOR,
  'memory': _GENERATOR | {'model.memory_slots': 6},
  'visemes': _GENERATOR,
  'global_speech': _GENERATOR,
  # The features of a frame that the tiny lip reader and the generator's speech code are compared by are of equal size.
  'reading': _GENERATOR | _OF_CLIPS | {'losses.frame_contrast': 0.1, 'model.contrast': 8},
  'av_sync': _GENERATOR | _OF_CLIPS,
}
