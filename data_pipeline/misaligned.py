"""Synthetic audio-visual misalignment: bad data on purpose, to measure its effect on a sync expert."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_pipeline.records import Record, RecordSource, text
from lpips_jax.audio.alphabets import SOUND_RATE
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
    shifted = record | {'audio': audio, 'mel': mel_of(audio), 'phones': phones}
    if 'sounds' in record:
      shifted |= _rolled(record['sounds'], record['sound_ends'], frames * SOUND_RATE // FRAME_RATE)
    return shifted


def _rolled(sounds: Sequence[Any], ends: np.ndarray, steps: int) -> dict[str, Any]:
  """Returns the `sounds` and `sound_ends` of a record whose sound begins `steps` later and goes on at its beginning."""
  length = ends[-1]
  begin = steps % length
  first = int(np.searchsorted(ends, begin, side='right'))  # of the sounds: it may be parted in two
  parted = begin > (ends[first - 1] if first else 0)
  last = [length] if parted else []
  return {
    'sounds': [*sounds[first:], *sounds[: first + parted]],
    'sound_ends': np.concatenate([ends[first:] - begin, ends[:first] + length - begin, last]).astype(np.int32),
  }


def shift_of(name: str, share: float) -> int:
  """Returns the shift of the clip of that name: its sound is -4 to 4 frames ahead of its picture, or 0."""
  rng = np.random.default_rng(zlib.crc32(name.encode()))
  shifted = rng.random() < share
  return int(rng.integers(1, MAX_SHIFT_FRAMES + 1) * rng.choice([-1, 1])) if shifted else 0
