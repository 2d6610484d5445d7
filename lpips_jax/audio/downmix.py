"""One channel out of several: weights under which everybody who speaks in a track is heard."""

from collections.abc import Sequence

import numpy as np

CANCELLED_POWER = 1 / 4  # of the power of the channels: a sum with less has lost much of what they say
MAX_CANCELLED_SHARE = 1 / 10  # of the power of a track that may be cancelled
SUBWOOFER = 'LFE'  # FFmpeg's name of the channel in which nobody speaks


class Downmixer:
  """Weights for the channels of a track, found by listening to all of it.

  By default they give the mean, in which everybody is heard whatever the channel. Of more than two channels the silent
  ones do not count, so that speech in the centre of six is not 16 dB too quiet. Where channels cancel one another, such
  as those of a cable with one of its wires swapped, the loudest channel is used alone.
  """

  def __init__(self) -> None:
    self._power: np.ndarray | None = None  # of each channel
    self._cancelled = 0.0

  def hear(self, piece: np.ndarray, names: Sequence[str]) -> None:
    """Adds a piece of the track, (channels, n), whose channels FFmpeg calls by these names."""
    speech = np.array([name != SUBWOOFER for name in names])
    if self._power is None:
      self._power = np.zeros(len(piece))
    if len(piece) < 2 or not speech.any():
      return
    varying = (piece - piece.mean(axis=1, keepdims=True)) * speech[:, None]  # an offset is no sound
    power = np.square(varying, dtype=np.float64).sum(axis=1)
    self._power += power
    if np.square(varying.sum(axis=0), dtype=np.float64).sum() < CANCELLED_POWER * power.sum():
      self._cancelled += power.sum()

  def weights(self) -> np.ndarray:
    """Returns the weight of each channel, (channels,) float32; raises ValueError before anything was heard."""
    power = self._power
    if power is None:
      raise ValueError('a track is heard before its channels have weights')
    channels, loudest = len(power), power.argmax()
    if not power.any():
      weights = np.full(channels, 1 / channels)
    elif self._cancelled > MAX_CANCELLED_SHARE * power.sum():
      weights = np.arange(channels) == loudest
    elif channels == 2:
      weights = np.full(channels, 1 / 2)
    else:
      weights = (power > 0) / np.sqrt(power / power[loudest]).sum()
    return weights.astype(np.float32)
