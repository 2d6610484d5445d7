"""Things that a voice returns: the sound, and the moments at which each piece of the text is said."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lpips_jax.audio.phones import TimedPhone
from lpips_jax.core.files import PathLike


@dataclass(frozen=True)
class Cue:
  """A piece of the text, and the time at which it is said.

  Attributes:
    begin, end: seconds from the first sample, 0 <= begin < end; the end is that of the last sound, before any pause.
    text: as it was written, with the blanks that follow: the cues of an utterance together are its text.
  """

  begin: float
  end: float
  text: str


@dataclass(frozen=True)
class Utterance:
  """A text as a voice said it.

  Attributes:
    samples: (S,) int16, one channel, S >= 1.
    sample_rate: in Hz; the voice's own.
    cues: one for each word, or for each sentence where the voice tells no more; in order, without overlap.
    voice: a line that says which voice it was.
    phones: what is said, from the first sample to the last; None where the voice does not tell.
  """

  samples: np.ndarray
  sample_rate: int
  cues: tuple[Cue, ...]
  voice: str
  phones: tuple[TimedPhone, ...] | None = None

  def write(self, path: PathLike) -> None:
    """Writes the sound as a WAV file at its own rate, whole or not at all; see `media.speech.write_speech`."""
    from lpips_jax.media.speech import write_speech  # here, because it loads FFmpeg

    write_speech(Path(path), self.samples, self.sample_rate)
