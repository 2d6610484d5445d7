"""The level of speech, and speech at one level: a network's output must not depend on who set the microphone."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from lpips_jax.audio.chunks import ChunkedArray, Sound, in_chunks, mapped, whole
from lpips_jax.audio.mel import melspectrogram
from lpips_jax.core.constants import SAMPLE_RATE

AS_IS, NORMALISED = LEVELS = 'as_is', 'normalised'  # values of `config.data.level`
# dB of full scale, the level that speech is brought to: the hiss of quiet recordings is then below the mel's floor.
TARGET_LEVEL = -30.0
LEVEL_SAMPLES = SAMPLE_RATE // 50  # samples of a short-time level
BLOCKS_AT_ONCE = 4096  # short-time levels that are computed together
ROUNDING = 1e-13  # power that rounding leaves of silence when an offset is subtracted
MEDIAN_BLOCKS = 5  # levels whose median is taken: clicks, which are shorter, do not count
SPEECH_MARGIN = 15.9  # dB below the speech level, from which a block counts as speech (ITU-T P.56)
MAX_ROUNDS = 8  # of gating; it settles in two to four
MIN_PEAK = 1e-3  # of full scale, -60 dB: samples that never reach it hold no speech
# dB: sound that is quieter throughout, and whose levels differ by less, is the noise of a room.
MAX_NOISE_LEVEL, MAX_NOISE_SPREAD = -40.0, 6.0


def speech_level(samples: Sound) -> float | None:
  """Returns the level of the speech in a recording, in dB of full scale; None if it holds no speech.

  It is the mean power of the blocks of 20 ms that are at most 15.9 dB quieter than this very mean, as in ITU-T P.56
  (method B, with blocks in place of an envelope): pauses of any length do not change it.

  Args:
    samples: (S,) float in about [-1, 1], at 16 kHz, S >= 1; chunked or not.
  """
  return _measured(samples).level


def levelled(samples: Sound) -> Sound:
  """Returns speech at `TARGET_LEVEL` dB of full scale; a recording without speech is not made louder.

  Both lose any offset.

  Args:
    samples: (S,) float in about [-1, 1], at 16 kHz, S >= 1; chunked or not.

  Returns:
    (S,) float32, chunked if the samples are. Samples of very uneven speech may exceed [-1, 1]; `melspectrogram` accepts
    them.

  Raises:
    ValueError: there are no samples, or they are not one channel.
  """
  if not isinstance(samples, ChunkedArray):
    samples = np.asarray(samples, np.float32)
    if samples.ndim != 1 or samples.size == 0:
      raise ValueError(f'speech must be a non-empty, one-channel array of samples, not one of shape {samples.shape}')
  measured = _measured(samples)
  gain = 1.0 if measured.level is None else 10 ** ((TARGET_LEVEL - measured.level) / 20)
  return mapped(lambda piece: ((piece.astype(np.float64) - measured.offset) * gain).astype(np.float32), samples)


def at_level(samples: Sound, level: str) -> Sound:
  """Returns speech at the level that a network expects, (S,) float32, chunked if the samples are.

  Args:
    samples: (S,) at 16 kHz, S >= 1: float in about [-1, 1], chunked or not, or int16.
    level: `config.data.level` of the network: 'normalised' for speech brought to one level, 'as_is' for released
      networks of others, which were trained on speech of any level.
  """
  if not isinstance(samples, ChunkedArray):
    samples = np.asarray(samples)
    samples = samples.astype(np.float32) / 32768 if samples.dtype == np.int16 else samples
  return levelled(samples) if level == NORMALISED else samples


def mel_of(samples: np.ndarray, level: str = NORMALISED) -> np.ndarray:
  """Returns the log-mel spectrogram of speech at a network's level, (1 + S // 200, 80) float32; see `at_level`."""
  return melspectrogram(whole(at_level(samples, level)))


class _Measured(NamedTuple):
  """The offset and the level of a recording.

  Attributes:
    offset: the constant that samples are off by.
    level: of the samples without it; see `speech_level`.
  """

  offset: float
  level: float | None


def _measured(samples: Sound) -> _Measured:
  return _measured_once(samples) if isinstance(samples, ChunkedArray) else _measure(samples)


def _measure(samples: Sound) -> _Measured:
  lowest, highest = np.inf, -np.inf
  mean_blocks: list[np.ndarray] = []
  square_blocks: list[np.ndarray] = []
  for piece in in_chunks(samples, BLOCKS_AT_ONCE * LEVEL_SAMPLES):
    piece = np.asarray(piece, np.float64)
    lowest, highest = min(lowest, piece.min()), max(highest, piece.max())
    mean_blocks.append(_block_means(piece))
    square_blocks.append(_block_means(np.square(piece)))
  means, squares = np.concatenate(mean_blocks), np.concatenate(square_blocks)
  offset = float(np.median(means))  # clicks do not move it
  if max(highest - offset, offset - lowest) < MIN_PEAK:
    return _Measured(offset, None)
  power = squares - (2 * means - offset) * offset
  return _Measured(offset, _level(_smoothed(np.where(power < ROUNDING, 0, power))))


_measured_once = lru_cache(maxsize=4)(_measure)  # measuring reads the whole file


def _level(power: np.ndarray) -> float | None:
  levels = 10 * np.log10(power + 1e-30)
  if levels.max() < MAX_NOISE_LEVEL and levels.max() - np.percentile(levels, 5) < MAX_NOISE_SPREAD:
    return None
  active = power > 0
  for _ in range(MAX_ROUNDS):
    level = 10 * np.log10(power[active].mean())
    active = levels >= level - SPEECH_MARGIN
  return float(level)


def _block_means(values: np.ndarray) -> np.ndarray:
  """Returns the means of blocks, (ceil(S / LEVEL_SAMPLES),); the last block may be shorter."""
  starts = np.arange(0, len(values), LEVEL_SAMPLES)
  return np.add.reduceat(values, starts) / np.diff(np.append(starts, len(values)))


def _smoothed(values: np.ndarray) -> np.ndarray:
  """Returns running medians of `MEDIAN_BLOCKS` values, as many as there are values."""
  around = np.lib.stride_tricks.sliding_window_view(np.pad(values, MEDIAN_BLOCKS // 2, mode='edge'), MEDIAN_BLOCKS)
  return np.concatenate(
    [np.median(around[k : k + BLOCKS_AT_ONCE], axis=1) for k in range(0, len(around), BLOCKS_AT_ONCE)]
  )
