"""Speech as the generator hears it, frame by frame, and the pauses in which mouths rest."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from lpips_jax.audio import loudness, phones
from lpips_jax.audio.chunks import Sound, in_chunks, shifted
from lpips_jax.audio.condition import CONDITIONS
from lpips_jax.audio.mel import chunked_mel, mel_windows_at
from lpips_jax.core.constants import MEL_WINDOW, SAMPLE_RATE
from lpips_jax.core.errors import UserError

CLOSING_SILENCE = Fraction(1, 2)  # seconds added at the end: a mouth is shut after the last word, whatever comes then
PAUSE_RATE = 100  # levels of the sound per second
PAUSE_HOP = SAMPLE_RATE // PAUSE_RATE  # samples
PAUSE_CHUNK = 4096 * PAUSE_HOP  # samples that are looked at together
PAUSE_LEVEL = 31.0  # dB below the level of the speech
MIN_PAUSE_SECONDS = 0.4
LIPS_AHEAD = 0.12  # seconds by which lips part before they are heard, and close after


class Speech:
  """The speech of a dub, as the generator hears it.

  Args:
    samples: (S,) float in [-1, 1] at 16 kHz, from the first frame on, chunked or not; after their end there is silence.
    pauses: whether mouths are shut where the speech pauses, or left to the generator.
    kind: the form of the windows, a key of `audio.condition.CONDITIONS`.
    level: of the mel; see `audio.loudness.mel_of`.
    begin: seconds of the speech at which the first frame is shown; it knows what was said before.
    turns: begin and end, in seconds of the speech, of the turns outside of which mouths are shut; None for no turns.
    said: the phones of the speech, where whoever made it tells them; by default they are recognised in it.
    length: steps of 12.5 ms in a window.
  """

  def __init__(
    self,
    samples: Sound,
    pauses: bool,
    kind: str = 'mel',
    level: str = loudness.NORMALISED,
    begin: Fraction = Fraction(0),
    turns: Sequence[tuple[float, float]] | None = None,
    said: Sequence[phones.TimedPhone] | None = None,
    length: int = MEL_WINDOW,
  ) -> None:
    self._begin, self._turns = begin, turns
    with_silence = shifted(loudness.at_level(samples, level), 0, int(CLOSING_SILENCE * SAMPLE_RATE))
    mel = chunked_mel(with_silence)
    condition = CONDITIONS[kind]
    heard = None if said is None else phones.timed_phones(said, len(mel))
    if heard is None and condition.of_phones:
      heard = phones.recognise_phones(with_silence)
    self._track = condition.track(heard, mel)
    self._silent, self._length = condition.silence(length).T, length
    self._pauses = find_pauses(samples) if pauses else None

  def __call__(self, times: Sequence[Fraction], lead: Fraction) -> np.ndarray:
    """Returns the windows of the frames that are shown at n times, (n, 80, length).

    Args:
      times: in seconds.
      lead: seconds by which a window of 0.2 s starts before its frame; a longer one has the same centre.
    """
    windows = mel_windows_at(self._track, [self._begin + time - lead for time in times], self._length)
    windows[[self.rests_at(time) for time in times]] = self._silent
    return windows

  def rests_at(self, time: Fraction) -> bool:
    """Returns whether mouths are to be shut at a time, in seconds."""
    now = self._begin + time
    if self._turns is not None and not any(begin - LIPS_AHEAD <= now < end for begin, end in self._turns):
      return True
    return self._pauses is not None and bool(is_pause(self._pauses, [now])[0])


def check_drive(kind: str) -> None:
  """Raises UserError unless what a voice tells of its sounds can drive a generator that hears a kind of speech."""
  if not CONDITIONS[kind].of_phones:
    others = ' or '.join(name for name, condition in CONDITIONS.items() if condition.of_phones)
    problem = f'drive=visemes needs a generator that hears {others}, and this one hears {kind}'
    raise UserError(f'{problem}: give another checkpoint, or drive=sound', 'drive', 'checkpoint')


def find_pauses(samples: Sound) -> np.ndarray:
  """Finds the hundredths of a second in which lips should rest.

  Args:
    samples: (S,) float in [-1, 1] at 16 kHz, S >= 1, chunked or not; neither their level nor an offset matters.

  Returns:
    (1 + S // 160,) bool.
  """
  level = 10 * np.log10(_powers(samples) + 1e-12)
  spoken = loudness.speech_level(samples)
  quiet = np.ones(len(level), bool) if spoken is None else level < spoken - PAUSE_LEVEL
  pauses = np.zeros(len(quiet), bool)
  edges = np.flatnonzero(np.diff(np.concatenate([[0], quiet.astype(np.int8), [0]])))
  margin = round(LIPS_AHEAD * PAUSE_RATE)
  for begin, end in edges.reshape(-1, 2):
    if end - begin >= MIN_PAUSE_SECONDS * PAUSE_RATE:
      first = begin + margin if begin else 0
      last = end - margin if end < len(quiet) else end
      pauses[first:last] = True
  return pauses


def is_pause(pauses: np.ndarray, times: Sequence[Fraction]) -> np.ndarray:
  """Returns whether lips rest at each of n times, (n,) bool: in the pauses, and always after the end of the sound.

  Args:
    pauses: from `find_pauses`.
    times: in seconds.
  """
  indices = np.array([int(time * PAUSE_RATE) for time in times])
  return np.where(indices < len(pauses), pauses[np.minimum(indices, len(pauses) - 1)], True)


def _powers(samples: Sound) -> np.ndarray:
  """Returns the power of each hundredth of a second, and of the remaining samples, (1 + S // 160,).

  It is the variance within each: an offset, which may also wander, would fill the pauses of quiet speech.
  """
  powers, rest = [], np.zeros(0)
  for chunk in in_chunks(samples, PAUSE_CHUNK):
    whole = len(chunk) // PAUSE_HOP * PAUSE_HOP
    powers.append(chunk[:whole].reshape(-1, PAUSE_HOP).var(axis=1, dtype=np.float64))
    rest = chunk[whole:]
  powers.append(np.array([rest.var(dtype=np.float64) if rest.size else 0.0]))
  return np.concatenate(powers)
