"""Synthetic audio-visual misalignment: bad data on purpose, to measure its effect on a sync expert."""

import zlib
from dataclasses import dataclass

import numpy as np

from data_pipeline.records import Record, RecordSource, text
from lpips_jax.audio.loudness import mel_of
from lpips_jax.core.constants import FRAME_RATE, MEL_RATE, SAMPLES_PER_FRAME

MAX_SHIFT_FRAMES = 4  # either way


@dataclass(frozen=True)
class Misaligned:
  """The records of a corpus, some of them with their sound shifted by 1 to 4 frames against the picture.

  The clip's name alone decides by how much it is shifted, if at all. Sound that leaves at one end enters at the other.

  Attributes:
    source: clip records.
    share: the share of clips that are shifted, in [0, 1].
  """

  source: RecordSource
  share: float

  def __len__(self) -> int:
    return len(self.source)

  def __getitem__(self, index: int) -> Record:
    record = self.source[index]
    frames = shift_of(text(record['id']), self.share)
    if not frames:
      return record
    audio = np.roll(record['audio'], -frames * SAMPLES_PER_FRAME)
    phones = np.roll(record['phones'], -frames * MEL_RATE // FRAME_RATE)
    return record | {'audio': audio, 'mel': mel_of(audio), 'phones': phones}


def shift_of(name: str, share: float) -> int:
  """Returns the shift of the clip of that name: its sound is -4 to 4 frames ahead of its picture, or 0."""
  rng = np.random.default_rng(zlib.crc32(name.encode()))
  shifted = rng.random() < share
  return int(rng.integers(1, MAX_SHIFT_FRAMES + 1) * rng.choice([-1, 1])) if shifted else 0
