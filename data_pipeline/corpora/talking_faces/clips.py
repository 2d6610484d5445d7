"""Clips of procedural speakers: who they are, what they say, how they look while saying it, and the record of it all.

Everything follows from numbers: a speaker from (seed, split, speaker), a clip from those and its own number. Splits and
seeds therefore never share a speaker, and any clip can be made alone, in any process.
"""

import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from data_pipeline.corpora.talking_faces.appearance import Appearance, draw_appearance
from data_pipeline.corpora.talking_faces.articulation import (
  RATE,
  Articulation,
  articulate,
  as_phones,
  at_frames,
)
from data_pipeline.corpora.talking_faces.face import SCENE, Motion, draw_motion, head_to_scene, render, sway
from data_pipeline.corpora.talking_faces.voice import Voice, draw_voice, speak
from data_pipeline.records import encode_frame, make_record
from lpips_jax.audio.mel import HOP, MEL_RATE
from lpips_jax.core.constants import FRAME_RATE
from lpips_jax.faces.cropping import crop

SPLITS = ('train', 'val', 'test')

# The box that a face detector draws, smoothed, around a face of average width: left, top, right, bottom in face units;
# how it widens with half the width of the face; and by how much it is off, alike throughout a clip. Fitted to YuNet's
# boxes on 600 frames of 60 speakers: the mean intersection over union with them is 0.94.
_BOX = np.array([-0.703, -0.863, 0.704, 1.047])
_BOX_PER_WIDTH = np.array([-0.50, 0.0, 0.55, 0.0])
_AVERAGE_WIDTH = 0.75
_BOX_ERROR = np.array([0.02, 0.03, 0.02, 0.025])
_BOX_DRIFT = 0.008  # and how far it wanders within a clip; YuNet's own corners move by 0.009 to 0.03


@dataclass(frozen=True)
class Speaker:
  """A person: a face, a voice and a manner of speaking."""

  name: str
  appearance: Appearance
  voice: Voice
  tempo: float
  effort: float


@dataclass(frozen=True)
class TalkingClip:
  """A few seconds of one speaker; its frames are rendered as they are asked for.

  Attributes:
    speaker: who speaks.
    articulation: what is said.
    motion: how the head moves.
    audio: (S,) int16, 16 kHz.
    boxes: (T, 4) float, what a face detector would find in a scene of `SCENE` pixels: left, top, right, bottom.
  """

  speaker: Speaker
  articulation: Articulation
  motion: Motion
  audio: np.ndarray
  boxes: np.ndarray

  @cached_property
  def mouth_opening(self) -> np.ndarray:
    """The gap between the inner lips in each frame, (T,) float32, from 0 (shut) to 1."""
    return at_frames(self.articulation.opening, len(self.boxes)).astype(np.float32)

  @cached_property
  def phones(self) -> np.ndarray:
    """The phone that is said at each row of the sound's mel spectrogram: see `lpips_jax.audio.phones.hear`."""
    rows = np.arange(1 + len(self.audio) // HOP)
    said = self.articulation.phonemes[np.minimum(rows * RATE // MEL_RATE, len(self.articulation.phonemes) - 1)]
    return as_phones(said, np.random.default_rng(zlib.crc32(self.audio.tobytes())))

  def scene(self, size: int = SCENE):
    """Yields whole frames, (size, size, 3) uint8 RGB, as a camera would see them."""
    return render(self.speaker.appearance, self.articulation, self.motion, size)

  def crops(self, size: int):
    """Yields the face in each frame, cut out along its box, (size, size, 3) uint8 RGB."""
    left, top = np.clip(np.floor(self.boxes.min(0)[:2]).astype(int) - 2, 0, SCENE)
    right, bottom = np.clip(np.ceil(self.boxes.max(0)[2:]).astype(int) + 2, 0, SCENE)
    frames = render(self.speaker.appearance, self.articulation, self.motion, SCENE, (left, top, right, bottom))
    for frame, box in zip(frames, self.boxes - [left, top, left, top], strict=True):
      yield crop(frame, box, size)


def draw_speaker(seed: int, split: str, number: int) -> Speaker:
  """Returns the speaker of this number in a split; other numbers, splits and seeds are other people."""
  rng = np.random.default_rng([seed, SPLITS.index(split), number])
  return Speaker(
    name=f'{split}-{seed}-{number:04d}',
    appearance=draw_appearance(rng),
    voice=draw_voice(rng),
    tempo=rng.uniform(0.85, 1.15),
    effort=rng.uniform(0.85, 1.0),
  )


def draw_clip(seed: int, split: str, number: int, clip: int, seconds: float) -> TalkingClip:
  """Returns a clip of a speaker, `seconds` rounded to whole frames long."""
  speaker = draw_speaker(seed, split, number)
  rng = np.random.default_rng([seed, SPLITS.index(split), number, clip + 1])  # a trailing 0 would be the speaker's own
  n_frames = round(seconds * FRAME_RATE)
  articulation = articulate(rng, n_frames / FRAME_RATE, speaker.tempo, speaker.effort)
  motion = draw_motion(rng, n_frames)
  return TalkingClip(
    speaker=speaker,
    articulation=articulation,
    motion=motion,
    audio=speak(articulation, speaker.voice, rng),
    boxes=_detected_boxes(speaker.appearance, motion, rng),
  )


def clip_record(seed: int, split: str, number: int, clip: int, seconds: float, image_size: int) -> dict[str, Any]:
  """Returns the record of a clip: `data_pipeline.records.clip_features` and its `mouth_opening`."""
  drawn = draw_clip(seed, split, number, clip, seconds)
  return make_record(
    clip_id=f'{drawn.speaker.name}-{clip}',
    speaker=drawn.speaker.name,
    jpegs=[encode_frame(crop) for crop in drawn.crops(image_size)],
    audio=drawn.audio,
    boxes=drawn.boxes,
    phones=drawn.phones,
    mouth_opening=drawn.mouth_opening,
  )


def _detected_boxes(appearance: Appearance, motion: Motion, rng: np.random.Generator) -> np.ndarray:
  """Returns the boxes of a smoothed detector: off by a little throughout the clip, and drifting."""
  box = _BOX + _BOX_PER_WIDTH * (appearance.width - _AVERAGE_WIDTH) + rng.normal(0, _BOX_ERROR)
  time = np.arange(len(motion.turn)) / FRAME_RATE
  drift = np.stack([sway(rng, time, _BOX_DRIFT) for _ in range(4)], axis=1)
  boxes = []
  for k in range(len(time)):
    place = head_to_scene(motion, k, SCENE)
    unit = np.hypot(*place[:, 0])
    boxes.append(np.tile(place[:, 2], 2) + unit * (box + drift[k]))
  return np.array(boxes)
