"""What a dub should look like: a speaker's own face and movements, with the lips of whoever is to be heard.

No filmed corpus has this. Here a clip is a function of its name and its length, and a face of what it says, so that
the true frames of foreign words, and of silence, can be rendered.
"""

import dataclasses
from typing import Any

import numpy as np

from data_pipeline.corpora.talking_faces.articulation import Articulation, perform
from data_pipeline.corpora.talking_faces.clips import TalkingClip, draw_clip
from data_pipeline.records import decode_frames, encode_frame, text
from lpips_jax import evaluation
from lpips_jax.core.constants import FRAME_RATE
from lpips_jax.core.errors import UserError

_SAME = 1e-4  # by how much openings may differ that two machines have drawn; other speech differs by tenths


def true_frames(record: dict[str, Any], speech: evaluation.Clip | None, image_size: int) -> np.ndarray:
  """Returns the crops of a record as they would be if its speaker said something else, coded as records are.

  The face, its movements, its room and its boxes stay as they are; with its own speech it is the record itself.

  Args:
    record: of the embedded corpus.
    speech: the clip of it whose words are said, by frames of the same numbers; or None for silence.
    image_size: side of the crops, pixels.

  Returns:
    (T, image_size, image_size, 3) uint8, as many as the record has. Past the end of the speech lips stay as they are.

  Raises:
    UserError: the record was not drawn by this version of the corpus.
  """
  face = redrawn(text(record['id']), len(record['frames']))
  if not np.allclose(face.mouth_opening, record['mouth_opening'], atol=_SAME):
    raise UserError(f'{face.speaker.name} speaks otherwise by now: delete talking_faces in --data_dir')
  drawn_at = decode_frames(record['frames'], [0]).shape[1]
  if speech is None:
    said = silence(len(record['frames']))
  else:
    said = redrawn(speech.name, len(speech.frames)).articulation
  jpegs = [encode_frame(crop) for crop in dubbed(face, said).crops(drawn_at)]
  return decode_frames(jpegs, range(len(jpegs)), image_size)


def dubbed(face: TalkingClip, said: Articulation) -> TalkingClip:
  """Returns a clip of the same face, which moves as it did while it says something else; its sound stays its own."""
  return dataclasses.replace(face, articulation=said)


def silence(n_frames: int) -> Articulation:
  """Returns the gestures of somebody who says nothing."""
  return perform([''], [n_frames / FRAME_RATE])


def redrawn(clip_id: str, n_frames: int) -> TalkingClip:
  """Returns the clip of a record's `id`, which `clips.clip_record` gave it."""
  split, seed, speaker, clip = clip_id.split('-')
  return draw_clip(int(seed), split, int(speaker), int(clip), n_frames / FRAME_RATE)
