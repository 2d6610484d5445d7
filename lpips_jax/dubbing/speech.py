"""Speech as the generator hears it, frame by frame."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from lpips_jax.audio import loudness, phones
from lpips_jax.audio.chunks import Sound, shifted
from lpips_jax.audio.mel import SAMPLE_RATE, WINDOW, chunked_mel, mel_windows_at
from lpips_jax.dubbing.pauses import find_pauses, is_pause

CLOSING_SILENCE = Fraction(1, 2)  # seconds: a mouth is shut after the last word, whatever comes then


class Speech:
  """What is said, as the generator hears it.

  Args:
    samples: (S,) float in [-1, 1] at 16 kHz, from the first frame on, pieced or not; after their end there is silence.
    pauses: whether mouths are shut where the speech pauses, or left to the generator.
    kind: what the generator hears: 'mel', or 'phones', as `audio.phones` has them.
    level: of the mel that it hears: see `audio.loudness.mel_of`.
  """

  def __init__(self, samples: Sound, pauses: bool, kind: str = 'mel', level: str = loudness.NORMALISED) -> None:
    padded = shifted(loudness.at_level(samples, level), 0, int(CLOSING_SILENCE * SAMPLE_RATE))
    mel = chunked_mel(padded)
    self._track = phones.PhoneTrack(phones.hear(padded), mel) if kind == 'phones' else mel
    self._silent = phones.silence(kind, WINDOW).T
    self._pauses = find_pauses(samples) if pauses else None

  def __call__(self, times: Sequence[Fraction], lead: Fraction) -> np.ndarray:
    """Returns the windows of frames that are shown at n times, in seconds, (n, 80, 16).

    Args:
      times: of the frames.
      lead: seconds by which a window starts before its frame.
    """
    windows = mel_windows_at(self._track, [time - lead for time in times])
    windows[[self.rests_at(time) for time in times]] = self._silent
    return windows

  def rests_at(self, time: Fraction) -> bool:
    """Whether mouths are to be shut at a time, in seconds."""
    return self._pauses is not None and bool(is_pause(self._pauses, [time])[0])
