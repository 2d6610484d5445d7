"""Clips of procedural speakers: a speaker, their speech and movements, and the record made of them.

Random seeds decide everything: (seed, split, speaker) the speaker, and with the number of the clip the clip. Splits and
seeds therefore never share a speaker, and any clip can be made alone, in any process.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from data_pipeline.corpora.talking_faces.appearance import Appearance, draw_appearance
from data_pipeline.corpora.talking_faces.articulation import (
  GESTURE_RATE,
  GESTURES,
  Articulation,
  articulate,
  as_phones,
  at_frames,
)
from data_pipeline.corpora.talking_faces.face import SCENE_SIZE, Motion, draw_motion, head_to_scene, render, sway
from data_pipeline.corpora.talking_faces.voice import Voice, draw_voice, speak
from data_pipeline.records import Record, encode_frame, make_record
from lpips_jax.core.constants import FRAME_RATE, MEL_HOP, MEL_RATE
from lpips_jax.faces.cropping import crop

SPLITS = ('train', 'val', 'test')

# The smoothed box that a face detector draws around a face of average width: left, top, right, bottom in face units;
# how it widens with half the width of the face; and its error, constant throughout a clip (standard deviation). Fitted
# to YuNet's boxes on 600 frames of 60 speakers: the mean intersection over union with them is 0.94.
_BOX = np.array([-0.703, -0.863, 0.704, 1.047])
_BOX_PER_WIDTH = np.array([-0.50, 0.0, 0.55, 0.0])
_AVERAGE_WIDTH = 0.75
_BOX_ERROR = np.array([0.02, 0.03, 0.02, 0.025])
_BOX_DRIFT = 0.008  # movement of the box within a clip; YuNet's corners move by 0.009 to 0.03


@dataclass(frozen=True)
class Speaker:
  """A person: a face, a voice and a manner of speaking.

  Attributes:
    name: `<split>-<seed>-<number>`.
    appearance: the face at rest.
    voice: the voice.
    tempo: speed of speech; 1 is about four syllables a second.
    effort: how far the mouth opens, relative to the targets of the phonemes.
  """

  name: str
  appearance: Appearance
  voice: Voice
  tempo: float
  effort: float


@dataclass(frozen=True)
class TalkingClip:
  """A few seconds of one speaker; frames are rendered on demand.

  Attributes:
    speaker: the speaker.
    articulation: the gestures of the mouth.
    motion: the movements of the head.
    audio: (S,) int16, 16 kHz.
    boxes: (T, 4) float, left, top, right, bottom of the face, as detected in a scene of `SCENE_SIZE` pixels.
  """

  speaker: Speaker
  articulation: Articulation
  motion: Motion
  audio: np.ndarray
  boxes: np.ndarray

  @cached_property
  def mouth_opening(self) -> np.ndarray:
    """The opening of the inner lips in each frame, (T,) float32, from 0 (shut) to 1."""
    return at_frames(self.articulation.opening, len(self.boxes)).astype(np.float32)

  @cached_property
  def gestures(self) -> np.ndarray:
    """Opening, press, width, teeth and tongue in each frame, (T, 5) float32; see `articulation.Articulation`."""
    curves = [at_frames(getattr(self.articulation, name), len(self.boxes)) for name in GESTURES]
    return np.stack(curves, axis=1).astype(np.float32)

  @cached_property
  def phones(self) -> np.ndarray:
    """The phone spoken at each row of the sound's mel spectrogram; see `audio.phones.recognise_phones`."""
    rows = np.arange(1 + len(self.audio) // MEL_HOP)
    phonemes = self.articulation.phonemes[
      np.minimum(rows * GESTURE_RATE // MEL_RATE, len(self.articulation.phonemes) - 1)
    ]
    return as_phones(phonemes, np.random.default_rng(zlib.crc32(self.audio.tobytes())))

  def scene(self, size: int = SCENE_SIZE) -> Iterator[np.ndarray]:
    """Yields whole frames, (size, size, 3) uint8 RGB, as a camera would see them."""
    return render(self.speaker.appearance, self.articulation, self.motion, size)

  def crops(self, size: int) -> Iterator[np.ndarray]:
    """Yields the face in each frame, cropped to its box, (size, size, 3) uint8 RGB."""
    left, top = np.clip(np.floor(self.boxes.min(0)[:2]).astype(int) - 2, 0, SCENE_SIZE)
    right, bottom = np.clip(np.ceil(self.boxes.max(0)[2:]).astype(int) + 2, 0, SCENE_SIZE)
    frames = render(self.speaker.appearance, self.articulation, self.motion, SCENE_SIZE, (left, top, right, bottom))
    for frame, box in zip(frames, self.boxes - [left, top, left, top], strict=True):
      yield crop(frame, box, size)


def draw_speaker(seed: int, split: str, number: int) -> Speaker:
  """Draws the speaker of this number in a split; other numbers, splits and seeds give other people."""
  rng = np.random.default_rng([seed, SPLITS.index(split), number])
  return Speaker(
    name=f'{split}-{seed}-{number:04d}',
    appearance=draw_appearance(rng),
    voice=draw_voice(rng),
    tempo=rng.uniform(0.85, 1.15),
    effort=rng.uniform(0.85, 1.0),
  )


def draw_clip(seed: int, split: str, number: int, clip: int, seconds: float) -> TalkingClip:
  """Draws a clip of a speaker; `seconds` is rounded to whole frames."""
  speaker = draw_speaker(seed, split, number)
  rng = np.random.default_rng(
    [seed, SPLITS.index(split), number, clip + 1]
  )  # NumPy ignores a trailing 0, which would give the speaker's own seed
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


def clip_record(seed: int, split: str, number: int, clip: int, seconds: float, image_size: int) -> Record:
  """Draws a clip and returns its record: `data_pipeline.records.record_features` and what only its maker knows.

  - `mouth_opening`: (T,) float32; see `TalkingClip`.
  - `gestures`: (T, 5) float32; see `TalkingClip`.
  - `sounds`: n texts, the names of the sounds that are spoken, one after the other; '' is silence.
  - `sound_ends`: (n,) int32, where they end, in steps of 5 ms from the beginning of the clip.
  """
  drawn = draw_clip(seed, split, number, clip, seconds)
  sounds, sound_ends = drawn.articulation.sounds()
  return make_record(
    clip_id=f'{drawn.speaker.name}-{clip}',
    speaker=drawn.speaker.name,
    jpegs=[encode_frame(crop) for crop in drawn.crops(image_size)],
    audio=drawn.audio,
    boxes=drawn.boxes,
    phones=drawn.phones,
    mouth_opening=drawn.mouth_opening,
    gestures=drawn.gestures,
    sounds=sounds,
    sound_ends=sound_ends,
  )


def _detected_boxes(appearance: Appearance, motion: Motion, rng: np.random.Generator) -> np.ndarray:
  """Returns the boxes of a smoothed detector, with a constant error and a slow drift."""
  box = _BOX + _BOX_PER_WIDTH * (appearance.width - _AVERAGE_WIDTH) + rng.normal(0, _BOX_ERROR)
  time = np.arange(len(motion.turn)) / FRAME_RATE
  drift = np.stack([sway(rng, time, _BOX_DRIFT) for _ in range(4)], axis=1)
  boxes = []
  for k in range(len(time)):
    place = head_to_scene(motion, k, SCENE_SIZE)
    unit = np.hypot(*place[:, 0])
    boxes.append(np.tile(place[:, 2], 2) + unit * (box + drift[k]))
  return np.array(boxes)
