"""Clips as they were filmed, and candidates: the frames that a system, or anybody, made of a face and speech."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional

import numpy as np
from ml_collections import ConfigDict

from lpips_jax.audio.condition import CONDITIONS, level_of, phones_for, silence, speech_of
from lpips_jax.audio.loudness import NORMALISED, mel_of
from lpips_jax.audio.phones import recognise_phones
from lpips_jax.core.constants import SAMPLES_PER_FRAME


@dataclass(frozen=True, eq=False)
class Clip:
  """A clip as it was filmed.

  Attributes:
    name: identifies the clip.
    speaker: identifies who speaks in it.
    frames: (t, h, w, 3) uint8 face crops at 25 fps.
    mel: (m, 80), `lpips_jax.audio.loudness.mel_of` the sound, as records have it: of speech brought to one level.
    audio: (s,) int16, the sound itself at 16 kHz, if it is at hand.
    mouth_opening: (t,), how far the mouth is truly open, if that is known.
    phones: (m,) int8, the phones that are spoken, from `lpips_jax.audio.phones.recognise_phones`; for networks that
      hear phones.
    sounds: what is said, sound by sound as the corpus names them, '' for silence; None where that is unknown.
    sound_ends: (len(sounds),) int, where each of them ends, in steps of 5 ms.
    text: what is said in words; '' where that is unknown.
    dubbed_truth: returns the true frames, (t, h, w, 3) uint8, of this speaker, moving as here, who says what another
      clip says, or says nothing (None). Only corpora that draw their speakers know them.
  """

  name: str
  speaker: str
  frames: np.ndarray
  mel: np.ndarray
  audio: np.ndarray | None = None
  mouth_opening: np.ndarray | None = None
  phones: np.ndarray | None = None
  sounds: tuple[str, ...] | None = None
  sound_ends: np.ndarray | None = None
  text: str = ''
  dubbed_truth: Callable[[Optional['Clip']], np.ndarray] | None = None

  def heard_by(self, config: ConfigDict) -> np.ndarray:
    """Returns the sound as the network of a config hears it: its mel, or a track of phones or visemes, (m, 80)."""
    return _heard_by(config, self)


@dataclass(frozen=True, eq=False)
class Candidate:
  """The output of one system for one clip, with everything that it is scored against.

  A measure that needs a field which is None is left out.

  Attributes:
    frames: (t, h, w, 3) face crops at 25 fps, uint8 or float in [0, 1].
    mel: (m, 80), `lpips_jax.audio.loudness.mel_of` the sound that the lips should fit.
    audio: (s,) int16 at 16 kHz, that sound itself.
    truth: (t, h, w, 3) uint8, the frames as they should look.
    reference: (t, h, w, 3) uint8, the faces whose mouths the network was shown: these must not come through.
    mouth_opening: (t,), how far the mouth should be open.
    syncnet_crops: (t, 224, 224, 3) uint8, the frames as SyncNet's own pipeline cuts them; by default `frames`, resized.
    speaking: (s, h, w, 3) uint8, for candidates whose mouth should rest throughout: the same face as it was filmed,
      speaking, which shows how far its mouth opens.
    phones: (m,) int8, the phones that are spoken; by default they are recognised in the sound, if a sync expert hears
      phones.
    filmed: the frames are as they were filmed, so that they show how good the sync expert is.
  """

  frames: np.ndarray
  mel: np.ndarray
  audio: np.ndarray | None = None
  truth: np.ndarray | None = None
  reference: np.ndarray | None = None
  mouth_opening: np.ndarray | None = None
  syncnet_crops: np.ndarray | None = None
  speaking: np.ndarray | None = None
  phones: np.ndarray | None = None
  sounds: tuple[str, ...] | None = None
  sound_ends: np.ndarray | None = None
  text: str = ''
  filmed: bool = False

  @property
  def usable_frames(self) -> int:
    """The number of frames that have both a picture and sound."""
    if self.audio is None:
      return len(self.frames)
    return min(len(self.frames), len(self.audio) // SAMPLES_PER_FRAME)

  def heard_by(self, config: ConfigDict) -> np.ndarray:
    """Returns the sound as the sync expert of a config hears it, (m, 80)."""
    return _heard_by(config, self)


MakeCandidate = Callable[[], Candidate]


def silence_for(config: ConfigDict, length: int) -> np.ndarray:
  """Returns silence as the generator of a config hears it: (length, 80)."""
  return silence(speech_of(config.model), length)


def _heard_by(config: ConfigDict, of: Clip | Candidate) -> np.ndarray:
  """A form of speech; the mel is of unlevelled speech for networks that were trained on it, if there is sound."""
  speech, level = speech_of(config.model), level_of(config.model, config.get('data'))
  condition, phones = CONDITIONS[speech], of.phones
  if condition.of_phones:
    if phones is None:
      if of.audio is None:
        raise ValueError(f'a network that hears {speech} needs the phones, or the sound to recognise them in')
      phones = recognise_phones(of.audio.astype(np.float32) / 32768)
    phones = phones_for(speech, phones, of.sounds, of.sound_ends)
  mel = of.mel if level == NORMALISED or of.audio is None else mel_of(of.audio, level)
  return condition.track(phones, mel)[:]
