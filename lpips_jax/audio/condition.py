"""The forms in which a network hears speech: what `config.model.speech` may be, in one table.

All are windows (80, steps) of a track with 80 columns and a row each 12.5 ms, so that networks, data and films know no
difference. The encoder of each form is in `models.audio_encoder.ENCODERS`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lpips_jax.audio.chunks import ChunkedArray
from lpips_jax.audio.loudness import AS_IS, NORMALISED
from lpips_jax.audio.mel import SpeechFeatures, mel_windows
from lpips_jax.audio.phones import PHONES, PhoneTrack, silent_track
from lpips_jax.audio.visemes import VISEMES, VisemeTrack, phones_of_sounds
from lpips_jax.core.constants import FRAME_RATE, MEL_BANDS, MEL_MAX, MEL_WINDOW


@dataclass(frozen=True)
class Condition:
  """One form of speech.

  Attributes:
    track: makes it of the phones that are heard, (M,) int, and the mel, (M, 80); an array, or computed when sliced.
    silence: returns silence, (length, 80) float32.
    of_phones: whether `track` reads the phones; if not, they may be None.
    of_sounds: whether the phones are to be those of the sounds that a corpus says are spoken, where it does.
    range: the least and the greatest value.
    columns: what its 80 columns are.
  """

  track: Callable[[Any, Any], SpeechFeatures]
  silence: Callable[[int], np.ndarray]
  of_phones: bool
  of_sounds: bool
  range: tuple[float, float]
  columns: str


def _mel_itself(phones: np.ndarray | None, mel: np.ndarray | ChunkedArray) -> SpeechFeatures:
  return mel


def _silent_mel(length: int) -> np.ndarray:
  return np.full((length, MEL_BANDS), -MEL_MAX, np.float32)


CONDITIONS: dict[str, Condition] = {
  'mel': Condition(_mel_itself, _silent_mel, False, False, (-MEL_MAX, MEL_MAX), 'the log-mel spectrogram, bands first'),
  'phones': Condition(
    PhoneTrack,
    silent_track,
    True,
    False,
    (0, 1),
    f'a phone track: silence, {" ".join(PHONES[1:])}, of which one is 1, the loudness, and zeros',
  ),
  'visemes': Condition(
    VisemeTrack,
    silent_track,  # the first column is that of lips at rest
    True,
    True,
    (0, 1),
    f'a viseme track: {" ".join(VISEMES)}, of which one is 1, the place within it, the loudness, and zeros',
  ),
}


def speech_of(model: Any) -> str:
  """Returns the form in which a network hears speech, a key of `CONDITIONS`.

  Args:
    model: `config.model`, or the module; one that does not say hears mels.
  """
  return getattr(model, 'speech', 'mel')


def window_length(model: Any) -> int:
  """Returns how many steps of 12.5 ms a network hears at once: `config.model.speech_window`, by default 16.

  Args:
    model: `config.model`, or the module.
  """
  return getattr(model, 'speech_window', MEL_WINDOW)


def windows_for(config: Any, speech: SpeechFeatures, n_frames: int) -> np.ndarray:
  """Returns the windows that a generator hears for the frames of a clip at 25 fps, (n_frames, 80, steps) float32.

  Args:
    config: of its run.
    speech: (M, 80), in the form that it hears.
    n_frames: number of video frames, from the start of the sound.
  """
  return mel_windows(speech, FRAME_RATE, n_frames, config.data.lead, window_length(config.model))


def silent_window(model: Any) -> np.ndarray:
  """Returns the window that a network hears when nothing is said, (80, steps) float32; `model` as above."""
  return silence(speech_of(model), window_length(model)).T


def phones_for(
  speech: str,
  phones: np.ndarray,
  sounds: Sequence[str | bytes] | None = None,
  ends: np.ndarray | None = None,
) -> np.ndarray:
  """Returns the phones of a clip of which a form of speech is to be made, (M,) int.

  Args:
    speech: a key of `CONDITIONS`.
    phones: (M,) int, those that are heard.
    sounds, ends: what is truly said, as the embedded corpus names it, and where each sound ends, in steps of 5 ms; None
      where that is unknown.
  """
  if CONDITIONS[speech].of_sounds and sounds is not None and ends is not None:
    return phones_of_sounds(sounds, ends, len(phones))
  return phones


def silence(speech: str, length: int) -> np.ndarray:
  """Returns silence in a form of `CONDITIONS`, (length, 80) float32."""
  return CONDITIONS[speech].silence(length)


def level_of(model: Any, data: Any) -> str:
  """Returns the level of speech that a network expects: `config.data.level`, by default `AS_IS`.

  A network that hears phones, or what is made of them, expects `NORMALISED`, at which they are recognised.

  Args:
    model: `config.model`.
    data: `config.data`, or None.
  """
  if CONDITIONS[speech_of(model)].of_phones:
    return NORMALISED
  return getattr(data, 'level', AS_IS)
