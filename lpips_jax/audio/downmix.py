"""What is heard of several channels of sound."""

from collections.abc import Sequence

import numpy as np

CANCELLED = 1 / 4  # of the power of the channels: a sum with less holds little of what they say
OFTEN = 1 / 10  # of the power: how much of it may be cancelled
BASS = 'LFE'  # the channel of a subwoofer, in which nobody speaks


class Downmixer:
  """Listens to a track, and says how its channels make one.

  That is their mean, in which everybody is heard whatever the channel. Of more than two channels those that are silent
  do not count, so that speech in the centre of six is not 16 dB too quiet. Where channels cancel one another, such as
  those of a cable with one of its wires swapped, it is the loudest channel alone.
  """

  def __init__(self) -> None:
    self._power: np.ndarray | None = None  # of each channel
    self._cancelled = 0.0

  def hear(self, piece: np.ndarray, names: Sequence[str]) -> None:
    """Takes note of a piece of the track, (channels, n), and of the names that FFmpeg has for the channels."""
    speech = np.array([name != BASS for name in names])
    if self._power is None:
      self._power = np.zeros(len(piece))
    if len(piece) < 2 or not speech.any():
      return
    varying = (piece - piece.mean(axis=1, keepdims=True)) * speech[:, None]  # an offset is no sound
    power = np.square(varying, dtype=np.float64).sum(axis=1)
    self._power += power
    if np.square(varying.sum(axis=0), dtype=np.float64).sum() < CANCELLED * power.sum():
      self._cancelled += power.sum()

  def weights(self) -> np.ndarray:
    """Returns the weight of each channel in what is heard, (channels,) float32."""
    power = self._power
    channels, loudest = len(power), power.argmax()
    if not power.any():
      weights = np.full(channels, 1 / channels)
    elif self._cancelled > OFTEN * power.sum():
      weights = np.arange(channels) == loudest
    elif channels == 2:
      weights = np.full(channels, 1 / 2)
    else:
      weights = (power > 0) / np.sqrt(power / power[loudest]).sum()
    return weights.astype(np.float32)
