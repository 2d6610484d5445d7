"""How loud speech is, and speech at one level: what a network makes of it must not depend on who set the microphone."""

from typing import Any

import numpy as np

from lpips_jax.media.audio import SAMPLE_RATE, melspectrogram

AS_IS, NORMALISED = LEVELS = 'as_is', 'normalised'  # what `config.data.level` may say
REFERENCE = (
  -30.0
)  # dB of full scale, the level that speech is brought to; the hiss of quiet recordings is then below the mel's floor
BLOCK = SAMPLE_RATE // 50  # samples of a short-time level
SMOOTHED = 5  # levels of which the median is taken, so that clicks, which are shorter, do not count
GATE = 15.9  # dB below the speech level, from which a block counts as speech (ITU-T P.56)
ROUNDS = 8  # of gating; it settles in two to four
SILENT = 1e-3  # of full scale, -60 dB: samples that never reach it hold no speech
QUIET, STEADY = -40.0, 6.0  # dB: what is quieter throughout, and whose levels differ by less, is the noise of a room


def speech_level(samples: np.ndarray) -> float | None:
  """Returns the level of the speech in a recording, in dB of full scale; None where there is nothing to be heard.

  That is the mean power of the blocks of 20 ms that are not quieter by 15.9 dB than this very mean, as in ITU-T P.56
  (method B, with blocks in place of an envelope): pauses of any length leave it as it is.

  Args:
    samples: (S,) float in about [-1, 1], at 16 kHz, S >= 1.
  """
  samples = _centred(samples)
  if np.abs(samples).max() < SILENT:
    return None
  power = _smoothed(_block_means(np.square(samples)))
  levels = 10 * np.log10(power + 1e-30)
  if levels.max() < QUIET and levels.max() - np.percentile(levels, 5) < STEADY:
    return None
  active = power > 0
  for _ in range(ROUNDS):
    level = 10 * np.log10(power[active].mean())
    active = levels >= level - GATE
  return float(level)


def levelled(samples: np.ndarray) -> np.ndarray:
  """Returns speech at `REFERENCE` dB of full scale; what holds no speech is not made louder. Both lose any offset.

  Args:
    samples: (S,) float in about [-1, 1], at 16 kHz, S >= 1.

  Returns:
    (S,) float32; where speech is very uneven some of it may exceed [-1, 1], which `melspectrogram` does not mind.

  Raises:
    ValueError: there are no samples, or they are not one channel.
  """
  samples = np.asarray(samples, np.float32)
  if samples.ndim != 1 or samples.size == 0:
    raise ValueError(f'speech must be a non-empty, one-channel array of samples, not one of shape {samples.shape}')
  level = speech_level(samples)
  return (_centred(samples) * (1.0 if level is None else 10 ** ((REFERENCE - level) / 20))).astype(np.float32)


def level_of(config: Any) -> str:
  """Returns the level of speech that the network of a config wants: `AS_IS` if it does not say, and hears no phones.

  Phones are recognised in speech of one level, whatever becomes of them.
  """
  if getattr(config.model, 'speech', 'mel') == 'phones':
    return NORMALISED
  return getattr(getattr(config, 'data', None), 'level', AS_IS)


def at_level(samples: np.ndarray, level: str) -> np.ndarray:
  """Returns speech as a network wants it, (S,) float32.

  Args:
    samples: (S,) at 16 kHz, S >= 1: float in about [-1, 1], or int16.
    level: `config.data.level` of the network: 'normalised' for speech brought to one level, 'as_is' for others'
      networks, which were trained on speech of any.
  """
  samples = np.asarray(samples)
  if samples.dtype == np.int16:
    samples = samples.astype(np.float32) / 32768
  return levelled(samples) if level == NORMALISED else samples


def mel_of(samples: np.ndarray, level: str = NORMALISED) -> np.ndarray:
  """Returns the log-mel spectrogram that a network hears of speech, (1 + S // 200, 80) float32; see `at_level`."""
  return melspectrogram(at_level(samples, level))


def _centred(samples: np.ndarray) -> np.ndarray:
  """Takes away a constant offset: the median of the means of blocks, which clicks do not move."""
  samples = np.asarray(samples, np.float64)
  return samples - np.median(_block_means(samples))


def _block_means(values: np.ndarray) -> np.ndarray:
  """The means of blocks, (ceil(S / BLOCK),); the last block may be shorter."""
  starts = np.arange(0, len(values), BLOCK)
  return np.add.reduceat(values, starts) / np.diff(np.append(starts, len(values)))


def _smoothed(values: np.ndarray) -> np.ndarray:
  """Running medians of `SMOOTHED` values, of one length with them."""
  padded = np.pad(values, SMOOTHED // 2, mode='edge')
  return np.median(np.lib.stride_tricks.sliding_window_view(padded, SMOOTHED), axis=1)
