"""Sound moved against the picture in a share of the clips: bad data, to see what they do to an expert."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_pipeline.records import text
from lpips_jax.audio.loudness import mel_of
from lpips_jax.audio.mel import MEL_RATE
from lpips_jax.core.constants import FRAME_RATE, SAMPLES_A_FRAME

MOST = 4  # frames, either way


@dataclass(frozen=True)
class Misaligned:
  """The records of a corpus, of which a share have their sound 1 to 4 frames away from the picture.

  Which and by how much depends on the clip's name alone. What is pushed out at one end comes in at the other.

  Attributes:
    source: clip records.
    share: of the clips that are shifted, in [0, 1].
  """

  source: Sequence[dict[str, Any]]
  share: float

  def __len__(self) -> int:
    return len(self.source)

  def __getitem__(self, index: int) -> dict[str, Any]:
    record = self.source[index]
    frames = shift_of(text(record['id']), self.share)
    if not frames:
      return record
    audio = np.roll(record['audio'], -frames * SAMPLES_A_FRAME)
    phones = np.roll(record['phones'], -frames * MEL_RATE // FRAME_RATE)
    return record | {'audio': audio, 'mel': mel_of(audio), 'phones': phones}


def shift_of(name: str, share: float) -> int:
  """Returns by how many frames the sound of a clip of that name is ahead of its picture: -4 to 4, 0 where it is not."""
  rng = np.random.default_rng(zlib.crc32(name.encode()))
  shifted = rng.random() < share
  return int(rng.integers(1, MOST + 1) * rng.choice([-1, 1])) if shifted else 0
