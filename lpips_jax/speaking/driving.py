"""The speech of a dub: a file that is given, or a text that a voice says, with subtitles."""

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from lpips_jax.core.errors import UserError
from lpips_jax.core.files import PathLike
from lpips_jax.dubbing.options import Options
from lpips_jax.speaking.subtitles import check_subtitles, write_subtitles
from lpips_jax.speaking.text import read_text_file
from lpips_jax.speaking.utterance import Cue
from lpips_jax.speaking.voices import BUILTIN, say


@dataclasses.dataclass(frozen=True)
class SpeechSource:
  """The source of the speech of a dub: `audio`, `text` or `text_file`.

  Attributes:
    audio: a file with a sound track.
    text: to be said.
    text_file: a file with the text.
    voice, language: of the text; see `say`. By default the built-in voice.
    subtitles: where to write what is said, as .srt or .vtt.

  Raises:
    UserError: on construction, unless there is one source; or something is given that only a text has.
  """

  audio: PathLike | None = None
  text: str | None = None
  text_file: PathLike | None = None
  voice: str | None = None
  language: str | None = None
  subtitles: PathLike | None = None

  def __post_init__(self) -> None:
    sources = [name for name in ('audio', 'text', 'text_file') if getattr(self, name) is not None]
    if len(sources) != 1:
      problem = 'missing audio' if not sources else f'{" and ".join(sources)} each say what is said'
      raise UserError(f'{problem}: give one of audio, text and text_file', 'audio', 'text', 'text_file')
    for name in ('voice', 'language', 'subtitles'):
      if self.audio is not None and getattr(self, name) is not None:
        raise UserError(f'{name} goes with text or text_file, not with audio', name, 'text', 'text_file', 'audio')
    if self.subtitles is not None:
      check_subtitles(self.subtitles)


@contextlib.contextmanager
def driving_speech(source: SpeechSource, options: Options) -> Iterator[tuple[PathLike, Options]]:
  """Yields the sound file for a dub, and its options, which name a synthetic voice.

  A text is said into a file that is deleted afterwards. If the body succeeds, its subtitles are written.

  Raises:
    UserError: the text cannot be read or said; afterwards, the subtitles cannot be written.
  """
  if source.audio is not None:
    yield source.audio, options
    return
  text = source.text if source.text is not None else read_text_file(source.text_file or '')
  utterance = say(text, source.voice or BUILTIN, source.language)
  with tempfile.TemporaryDirectory() as directory:
    sound = Path(directory) / 'speech.wav'
    utterance.write(sound)
    yield sound, dataclasses.replace(options, synthetic_voice=utterance.voice)
  if source.subtitles is not None:
    write_subtitles(source.subtitles, heard(utterance.cues, options))


def heard(cues: Sequence[Cue], options: Options) -> list[Cue]:
  """Returns the cues of the part of the speech that is in a dub, from its first frame on."""
  begin, end = 0.0, float('inf')
  for part in (options.audio_part, options.only):
    if part is not None:
      begin, end = begin + part[0], min(end, begin + part[1])
  inside = [cue for cue in cues if cue.end > begin and cue.begin < end]
  return [Cue(max(cue.begin, begin) - begin, min(cue.end, end) - begin, cue.text) for cue in inside]
