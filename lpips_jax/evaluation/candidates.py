"""What is scored: clips as they were filmed, and takes: what somebody, or a network, made of a face and speech."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional

import numpy as np
from ml_collections import ConfigDict

from lpips_jax.audio.loudness import NORMALISED, level_of, mel_of
from lpips_jax.audio.phones import hear, phone_track, silence
from lpips_jax.core.constants import SAMPLES_A_FRAME


@dataclass(frozen=True, eq=False)
class Clip:
  """A clip as it was filmed.

  Attributes:
    name: what to call it.
    speaker: who speaks in it.
    frames: (t, h, w, 3) uint8 face crops at 25 fps.
    mel: (m, 80), `lpips_jax.audio.loudness.mel_of` the sound, as records have it: of speech brought to one level.
    audio: (s,) int16, the sound itself at 16 kHz, where that is at hand.
    mouth_opening: (t,), how far the mouth is truly open, where that is known.
    phones: (m,) int8, what is said, `lpips_jax.audio.phones.hear`; for networks that hear phones.
    dubbed_truth: what the frames would look like if this speaker, moving as here, said what another clip says, or
      nothing (None): (t, h, w, 3) uint8. Only corpora that draw their speakers know.
  """

  name: str
  speaker: str
  frames: np.ndarray
  mel: np.ndarray
  audio: np.ndarray | None = None
  mouth_opening: np.ndarray | None = None
  phones: np.ndarray | None = None
  dubbed_truth: Callable[[Optional['Clip']], np.ndarray] | None = None

  def heard_by(self, config: ConfigDict) -> np.ndarray:
    """Returns the sound as the network of a config hears it: its mel or its phone track, (m, 80)."""
    return _heard(config, self.mel, self.audio, self.phones)


def silence_for(config: ConfigDict, length: int) -> np.ndarray:
  """Returns silence as the generator of a config hears it: (length, 80)."""
  return silence(config.model.get('speech', 'mel'), length)


@dataclass(frozen=True, eq=False)
class Candidate:
  """Faces to judge, with all that they are judged by; what is None is not judged by.

  Attributes:
    frames: (t, h, w, 3) face crops at 25 fps, uint8 or float in [0, 1].
    mel: (m, 80), `lpips_jax.audio.loudness.mel_of` the sound that the lips should fit.
    audio: (s,) int16 at 16 kHz, that sound itself.
    truth: (t, h, w, 3) uint8, what the frames should look like.
    reference: (t, h, w, 3) uint8, the faces whose mouths the network was shown: theirs must not come through.
    mouth_opening: (t,), how far the mouth should be open.
    tracked: (t, 224, 224, 3) uint8, the frames as SyncNet's own pipeline cuts them; the crops by default.
    speaking: (s, h, w, 3) uint8, of takes whose mouth should rest throughout: the same face as it was filmed, speaking,
      by which one knows how far its mouth opens.
    phones: (m,) int8, what is said; heard in the sound where a sync expert asks for it and it is None.
    filmed: whether nothing was made of these frames: then they say how good the sync expert is.
  """

  frames: np.ndarray
  mel: np.ndarray
  audio: np.ndarray | None = None
  truth: np.ndarray | None = None
  reference: np.ndarray | None = None
  mouth_opening: np.ndarray | None = None
  tracked: np.ndarray | None = None
  speaking: np.ndarray | None = None
  phones: np.ndarray | None = None
  filmed: bool = False

  def heard_by(self, config: ConfigDict) -> np.ndarray:
    """Returns the sound as the sync expert of a config hears it, (m, 80)."""
    return _heard(config, self.mel, self.audio, self.phones)


def length(candidate: Candidate) -> int:
  """How many frames have both a picture and sound."""
  return (
    len(candidate.frames)
    if candidate.audio is None
    else min(len(candidate.frames), len(candidate.audio) // SAMPLES_A_FRAME)
  )


def _heard(config: ConfigDict, mel: np.ndarray, audio: np.ndarray | None, phones: np.ndarray | None) -> np.ndarray:
  """A phone track, or a mel: of speech as it is for networks that were trained on that, if the sound is at hand."""
  if config.model.get('speech', 'mel') == 'phones':
    return phone_track(hear(audio / 32768) if phones is None else phones, mel)
  level = level_of(config)
  return mel if level == NORMALISED or audio is None else mel_of(audio, level)
