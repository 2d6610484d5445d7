"""The speech of a dub: a file that is given, or texts that voices say, with subtitles."""

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from lpips_jax.audio.phones import TimedPhone
from lpips_jax.core.errors import UserError, check_choice
from lpips_jax.core.files import PathLike
from lpips_jax.dubbing.options import Options
from lpips_jax.dubbing.turns import read_turns
from lpips_jax.speaking.subtitles import check_subtitles, write_subtitles
from lpips_jax.speaking.text import read_text_file
from lpips_jax.speaking.utterance import Cue, Utterance
from lpips_jax.speaking.voices import BUILTIN, say
from lpips_jax.storage.places import require_local
from lpips_jax.storage.transfer import local_input, local_output

SOUND, VISEMES = DRIVES = 'sound', 'visemes'  # what drives the lips that say a text


@dataclasses.dataclass(frozen=True)
class SpeechSource:
  """The source of the speech of a dub: `audio`, `text` or `text_file`; or `Options.turns`. Files may be in buckets.

  Attributes:
    audio: a file with a sound track.
    text: to be said.
    text_file: a file with the text.
    voice, language: of texts, those of turns among them; see `say`. By default the built-in voice.
    drive: what drives the lips that say texts: the `sound`, as by default, or `visemes`, those of the sounds as the
      voice times them, without a recogniser.
    subtitles: where to write what is said in texts, as .srt or .vtt.
  """

  audio: PathLike | None = None
  text: str | None = None
  text_file: PathLike | None = None
  voice: str | None = None
  language: str | None = None
  drive: str | None = None
  subtitles: PathLike | None = None


@contextlib.contextmanager
def driving_speech(source: SpeechSource, options: Options) -> Iterator[tuple[PathLike | None, Options]]:
  """Yields the sound file for a dub, None with turns, and its options, which name synthetic voices.

  Texts are said into files that are deleted afterwards. If the body succeeds, their subtitles are written.

  Raises:
    UserError: there is not one source, or something is given that only a text has; the text cannot be read or said;
      afterwards, the subtitles cannot be written.
  """
  with contextlib.ExitStack() as written:
    subtitles = None if source.subtitles is None else written.enter_context(local_output(source.subtitles))
    _check(dataclasses.replace(source, subtitles=subtitles), options)
    if source.audio is not None:
      yield source.audio, options
      return
    with tempfile.TemporaryDirectory() as directory:
      say_all = _say_text if options.turns is None else _say_turns
      sound, cues, its_options = say_all(source, options, Path(directory))
      read = source.text_file, options.turns  # the latter may be a file, of which `its_options` has the turns
      yield (
        sound,
        dataclasses.replace(
          its_options,
          other_inputs=[path for path in read if isinstance(path, str | os.PathLike)],
          other_outputs=[] if source.subtitles is None else [source.subtitles],
        ),
      )
    if subtitles is not None:
      write_subtitles(subtitles, heard(cues, options))


def heard(cues: Sequence[Cue], options: Options) -> list[Cue]:
  """Returns the cues of the part of the speech that is in a dub, from its first frame on."""
  begin, end = 0.0, float('inf')
  for part in (options.audio_part, options.only):
    if part is not None:
      begin, end = begin + part[0], min(end, begin + part[1])
  inside = [cue for cue in cues if cue.end > begin and cue.begin < end]
  return [Cue(max(cue.begin, begin) - begin, min(cue.end, end) - begin, cue.text) for cue in inside]


def _check(source: SpeechSource, options: Options) -> None:
  sources = [name for name in ('audio', 'text', 'text_file') if getattr(source, name) is not None]
  if options.turns is not None and sources:
    raise UserError(f'turns say themselves who says what: leave out {sources[0]}', 'turns', sources[0])
  if options.turns is None and len(sources) != 1:
    problem = 'missing audio' if not sources else f'{" and ".join(sources)} each say what is said'
    raise UserError(f'{problem}: give one of audio, text and text_file', 'audio', 'text', 'text_file')
  for name in ('voice', 'language', 'drive', 'subtitles'):
    if source.audio is not None and getattr(source, name) is not None:
      raise UserError(f'{name} goes with text or text_file, not with audio', name, 'text', 'text_file', 'audio')
  if source.drive is not None:
    check_choice('drive', source.drive, DRIVES)
  require_local(voice=source.voice)
  if source.subtitles is not None:
    check_subtitles(source.subtitles)


def _say_text(source: SpeechSource, options: Options, directory: Path) -> tuple[Path | None, list[Cue], Options]:
  """Says a text into a file; returns it, its cues, and options that name the voice."""
  text = source.text
  if text is None:
    with local_input(source.text_file or '') as file:
      text = read_text_file(file)
  utterance, said = _say(text, source.voice, source)
  sound = directory / 'speech.wav'
  utterance.write(sound)
  return sound, list(utterance.cues), dataclasses.replace(options, synthetic_voice=utterance.voice, said=said)


def _say_turns(source: SpeechSource, options: Options, directory: Path) -> tuple[Path | None, list[Cue], Options]:
  """Says the texts of turns into files; returns no file, their cues, and options whose turns all have audio."""
  turns = read_turns(options.turns) if isinstance(options.turns, str | os.PathLike) else list(options.turns or ())
  cues: list[Cue] = []
  voices: dict[str, None] = {}
  for number, turn in enumerate(turns):
    if turn.text is None and source.drive == VISEMES:
      problem = f'turns: turn {number + 1} has audio, whose sounds nobody tells'
      raise UserError(f'{problem}: drive=visemes needs the text of every turn', 'turns', 'drive')
    if turn.text is None:
      continue
    require_local(voice=turn.voice)
    utterance, said = _say(turn.text, turn.voice or source.voice, source)
    sound = directory / f'turn-{number}.wav'
    utterance.write(sound)
    voices[utterance.voice] = None
    within = heard(utterance.cues, Options(audio_part=(0.0, turn.end - turn.begin)))
    moved = [Cue(turn.begin + cue.begin, turn.begin + cue.end, cue.text) for cue in within]
    # A paragraph ends here: no subtitle shows what two people say.
    cues += [*moved[:-1], *(dataclasses.replace(last, text=f'{last.text.rstrip()}\n\n') for last in moved[-1:])]
    turns[number] = dataclasses.replace(turn, audio=sound, text=None, voice=None, said=said)
  its_options = dataclasses.replace(options, turns=turns, synthetic_voice='; '.join(voices))
  return None, sorted(cues, key=lambda cue: cue.begin), its_options


def _say(text: str, voice: str | None, source: SpeechSource) -> tuple[Utterance, tuple[TimedPhone, ...] | None]:
  """Says a text; returns the phones, too, if they are to drive the lips."""
  utterance = say(text, voice or BUILTIN, source.language)
  if source.drive != VISEMES:
    return utterance, None
  if utterance.phones is None:
    problem = f'voice={voice} does not tell when it makes which sound'
    raise UserError(f'{problem}: give voice=builtin or espeak, or drive=sound', 'drive', 'voice')
  return utterance, utterance.phones
