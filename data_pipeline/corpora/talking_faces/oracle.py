"""The ground truth of a dub: a speaker's own face and movements, with lips that say something else.

No filmed corpus has this. Here a clip is a function of its id and length, and the frames are a function of the speech,
so that the true frames of foreign speech, and of silence, can be rendered.
"""

import dataclasses

import numpy as np

from data_pipeline.corpora.talking_faces.articulation import Articulation, perform
from data_pipeline.corpora.talking_faces.clips import TalkingClip, draw_clip
from data_pipeline.records import Record, decode_frames, encode_frame, text
from lpips_jax import evaluation
from lpips_jax.core.constants import FRAME_RATE
from lpips_jax.core.errors import UserError

_MAX_OPENING_ERROR = 1e-4  # between two machines that draw the same clip; other speech differs by tenths


def true_frames(record: Record, speech: evaluation.Clip | None, image_size: int) -> np.ndarray:
  """Renders the crops of a record as if its speaker said something else, with the JPEG coding of records.

  The face, its movements, room and boxes stay as they are; with its own speech the result is the record itself.

  Args:
    record: of the embedded corpus.
    speech: a clip of the corpus with the speech to dub, frame by frame; None for silence.
    image_size: side of the crops, in pixels.

  Returns:
    (T, image_size, image_size, 3) uint8 RGB, all frames of the record. Past the end of the speech the lips rest as in
    its last frame.

  Raises:
    UserError: the record was not drawn by this version of the corpus.
  """
  face = redrawn(text(record['id']), len(record['frames']))
  if not np.allclose(face.mouth_opening, record['mouth_opening'], atol=_MAX_OPENING_ERROR):
    raise UserError(f'{face.speaker.name} is of an older version: delete talking_faces in data_dir', 'data_dir')
  drawn_at = decode_frames(record['frames'], [0]).shape[1]
  if speech is None:
    gestures = silence(len(record['frames']))
  else:
    gestures = redrawn(speech.name, len(speech.frames)).articulation
  jpegs = [encode_frame(crop) for crop in dubbed(face, gestures).crops(drawn_at)]
  return decode_frames(jpegs, range(len(jpegs)), image_size)


def dubbed(face: TalkingClip, gestures: Articulation) -> TalkingClip:
  """Returns the clip with other gestures of the mouth; head movements and sound stay as they are."""
  return dataclasses.replace(face, articulation=gestures)


def silence(n_frames: int) -> Articulation:
  """Returns the gestures of a silent speaker."""
  return perform([''], [n_frames / FRAME_RATE])


def redrawn(clip_id: str, n_frames: int) -> TalkingClip:
  """Draws the clip of a record again, from the `id` that `clips.clip_record` gave it."""
  split, seed, speaker, clip = clip_id.split('-')
  return draw_clip(int(seed), split, int(speaker), int(clip), n_frames / FRAME_RATE)
