"""How loud speech is, and speech at one level: what a network makes of it must not depend on who set the microphone."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from lpips_jax.audio.chunks import ChunkedSound, Sound, in_chunks, mapped
from lpips_jax.audio.mel import SAMPLE_RATE, melspectrogram

AS_IS, NORMALISED = LEVELS = 'as_is', 'normalised'  # what `config.data.level` may say
REFERENCE = (
  -30.0
)  # dB of full scale, the level that speech is brought to; the hiss of quiet recordings is then below the mel's floor
BLOCK = SAMPLE_RATE // 50  # samples of a short-time level
MEASURED = 4096  # blocks that are looked at together
ROUNDING = 1e-13  # power of what is left of silence when an offset is taken away
SMOOTHED = 5  # levels of which the median is taken, so that clicks, which are shorter, do not count
GATE = 15.9  # dB below the speech level, from which a block counts as speech (ITU-T P.56)
ROUNDS = 8  # of gating; it settles in two to four
SILENT = 1e-3  # of full scale, -60 dB: samples that never reach it hold no speech
QUIET, STEADY = -40.0, 6.0  # dB: what is quieter throughout, and whose levels differ by less, is the noise of a room


def speech_level(samples: Sound) -> float | None:
  """Returns the level of the speech in a recording, in dB of full scale; None where there is nothing to be heard.

  That is the mean power of the blocks of 20 ms that are not quieter by 15.9 dB than this very mean, as in ITU-T P.56
  (method B, with blocks in place of an envelope): pauses of any length leave it as it is.

  Args:
    samples: (S,) float in about [-1, 1], at 16 kHz, S >= 1; pieced or not.
  """
  return _measured(samples).level


def levelled(samples: Sound) -> Sound:
  """Returns speech at `REFERENCE` dB of full scale; what holds no speech is not made louder. Both lose any offset.

  Args:
    samples: (S,) float in about [-1, 1], at 16 kHz, S >= 1; pieced or not.

  Returns:
    (S,) float32, pieced if the samples are; where speech is very uneven some of it may exceed [-1, 1], which
    `melspectrogram` does not mind.

  Raises:
    ValueError: there are no samples, or they are not one channel.
  """
  if not isinstance(samples, ChunkedSound):
    samples = np.asarray(samples, np.float32)
    if samples.ndim != 1 or samples.size == 0:
      raise ValueError(f'speech must be a non-empty, one-channel array of samples, not one of shape {samples.shape}')
  measured = _measured(samples)
  gain = 1.0 if measured.level is None else 10 ** ((REFERENCE - measured.level) / 20)
  return mapped(lambda piece: ((piece.astype(np.float64) - measured.offset) * gain).astype(np.float32), samples)


def level_of(config: Any) -> str:
  """Returns the level of speech that the network of a config wants: `AS_IS` if it does not say, and hears no phones.

  Phones are recognised in speech of one level, whatever becomes of them.
  """
  if getattr(config.model, 'speech', 'mel') == 'phones':
    return NORMALISED
  return getattr(getattr(config, 'data', None), 'level', AS_IS)


def at_level(samples: Sound, level: str) -> Sound:
  """Returns speech as a network wants it, (S,) float32, pieced if it was.

  Args:
    samples: (S,) at 16 kHz, S >= 1: float in about [-1, 1], pieced or not, or int16.
    level: `config.data.level` of the network: 'normalised' for speech brought to one level, 'as_is' for others'
      networks, which were trained on speech of any.
  """
  if not isinstance(samples, ChunkedSound):
    samples = np.asarray(samples)
    samples = samples.astype(np.float32) / 32768 if samples.dtype == np.int16 else samples
  return levelled(samples) if level == NORMALISED else samples


def mel_of(samples: np.ndarray, level: str = NORMALISED) -> np.ndarray:
  """Returns the log-mel spectrogram that a network hears of speech, (1 + S // 200, 80) float32; see `at_level`."""
  return melspectrogram(at_level(samples, level))


class _Measured(NamedTuple):
  """The constant that samples are off by, and the level of what is left; see `speech_level`."""

  offset: float
  level: float | None


def _measured(samples: Sound) -> _Measured:
  return _measured_once(samples) if isinstance(samples, ChunkedSound) else _measure(samples)


def _measure(samples: Sound) -> _Measured:
  lowest, highest, means, squares = np.inf, -np.inf, [], []
  for piece in in_chunks(samples, MEASURED * BLOCK):
    piece = np.asarray(piece, np.float64)
    lowest, highest = min(lowest, piece.min()), max(highest, piece.max())
    means.append(_block_means(piece))
    squares.append(_block_means(np.square(piece)))
  means, squares = np.concatenate(means), np.concatenate(squares)
  offset = float(np.median(means))  # which clicks do not move
  if max(highest - offset, offset - lowest) < SILENT:
    return _Measured(offset, None)
  power = squares - (2 * means - offset) * offset
  return _Measured(offset, _level(_smoothed(np.where(power < ROUNDING, 0, power))))


_measured_once = lru_cache(maxsize=4)(_measure)  # to measure takes a reading of the file


def _level(power: np.ndarray) -> float | None:
  levels = 10 * np.log10(power + 1e-30)
  if levels.max() < QUIET and levels.max() - np.percentile(levels, 5) < STEADY:
    return None
  active = power > 0
  for _ in range(ROUNDS):
    level = 10 * np.log10(power[active].mean())
    active = levels >= level - GATE
  return float(level)


def _block_means(values: np.ndarray) -> np.ndarray:
  """The means of blocks, (ceil(S / BLOCK),); the last block may be shorter."""
  starts = np.arange(0, len(values), BLOCK)
  return np.add.reduceat(values, starts) / np.diff(np.append(starts, len(values)))


def _smoothed(values: np.ndarray) -> np.ndarray:
  """Running medians of `SMOOTHED` values, of one length with them."""
  around = np.lib.stride_tricks.sliding_window_view(np.pad(values, SMOOTHED // 2, mode='edge'), SMOOTHED)
  return np.concatenate([np.median(around[k : k + MEASURED], axis=1) for k in range(0, len(around), MEASURED)])
