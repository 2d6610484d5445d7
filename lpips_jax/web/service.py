"""The work behind the page: faces to choose from, a preview or a whole dub, and the command that does the same."""

import contextlib
import dataclasses
import shlex
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lpips_jax.core.errors import UserError, check_choice
from lpips_jax.core.files import PathLike
from lpips_jax.core.progress import Report
from lpips_jax.dubbing.engine import Dubber
from lpips_jax.dubbing.options import Options
from lpips_jax.media.speech import load_driving_speech
from lpips_jax.media.video_reader import probe
from lpips_jax.web.examples import Examples, draw
from lpips_jax.web.faces import Finder, Sight
from lpips_jax.web.limits import Limits
from lpips_jax.web.line import Job, Line
from lpips_jax.web.storage import Storage

PREVIEW_SECONDS = 2.0
VOICES = 'builtin', 'espeak'  # others are files, which are nobody's to name here
LATE = 86400.0  # seconds; later than the end of any film
UNSAID = 'save_boxes', 'synthetic_voice', 'max_pixels', 'max_minutes'  # options that the command needs no flag for
CONSENT = 'the person who is shown has agreed to say these words'


@dataclass(frozen=True)
class Order:
  """A dub that somebody asks for.

  Attributes:
    face: a film or a still picture.
    speech: a file with sound; None if `text` is to be spoken.
    text: what to say.
    voice: who says it; see `speaking.say`.
    language: likewise; '' is the voice's own.
    face_at: whom to dub, as in `Options`; None is the most prominent person.
    everybody: whether all faces are dubbed.
    speaking: whether those are dubbed who speak in the film.
    part: begin and end, in seconds, of the part of the film that is used; None is all of it.
    label: whether "AI MODIFIED" is written into the picture.
    only: begin and end, in seconds, of the part of the dub that is made; None makes all of it.
    consent: whether the person shown has agreed.
  """

  face: Path | None
  speech: Path | None = None
  text: str = ''
  voice: str = 'builtin'
  language: str = ''
  face_at: Sequence[float] | None = None
  everybody: bool = False
  speaking: bool = False
  part: Sequence[float] | None = None
  label: bool = True
  only: Sequence[float] | None = None
  consent: bool = False


@dataclass(frozen=True)
class Result:
  """A finished dub.

  Attributes:
    video: the file.
    boxes: a JSON file with the boxes that were used.
    subtitles: .vtt and .srt files of a text; empty for recorded speech.
    command: the command line that does the same.
    before: the film or picture that was dubbed.
    part: begin and end, in seconds, of the part of the film that was used; None is all of it.
    only: begin and end of the part of the dub that was made; None if this is all of it.
    still: whether it is one picture.
  """

  video: Path
  boxes: Path
  subtitles: tuple[Path, ...]
  command: str
  before: Path
  part: Sequence[float] | None
  only: Sequence[float] | None
  still: bool


class Service:
  """Serves one page: with one generator, which stays loaded, and one dub at a time.

  Args:
    checkpoint: a generator's.
    storage: where files are.
    limits: what is accepted.
    defaults: fields of `Options` for all dubs, such as `detector`.
    dubber: further arguments of `Dubber`.

  Attributes:
    examples: those to try, once they are drawn.
  """

  def __init__(
    self,
    checkpoint: PathLike | Callable[..., Any],
    storage: Storage,
    limits: Limits,
    defaults: dict[str, Any] | None = None,
    **dubber: Any,
  ) -> None:
    self.storage, self.limits = storage, limits
    self._checkpoint = checkpoint
    self._defaults = {'max_pixels': limits.max_pixels, 'max_minutes': limits.max_minutes, **(defaults or {})}
    self._dubber = Dubber(checkpoint, progress=False, **dubber)
    self._finder = Finder(self._defaults.get('detector', 'auto'), self._defaults.get('detector_model'))
    self._line = Line(limits.max_queue)
    self.examples: Future[Examples] = Future()

  def prepare(self) -> None:
    """Loads the generator and draws the examples; dubs wait for it.

    Raises:
      UserError: there is no generator.
    """
    self._line.first(lambda: self._dubber.generator).result()
    self._line.first(self._draw).result()

  def look(self, face: Path, seconds: float = 0.0) -> Sight:
    """Looks for faces in the frame of a film that is shown after some seconds.

    Raises:
      UserError: the film cannot be used; an upload is then deleted.
    """
    with self._refused(face):
      return self._finder.look(face, seconds, self.limits)

  def check_speech(self, speech: Path) -> None:
    """Raises UserError unless a file has sound in it that is not too long; an upload is then deleted."""
    with self._refused(speech):
      load_driving_speech(speech, self.limits.max_minutes)

  def order(self, order: Order) -> Job[Result]:
    """Puts a dub in the line.

    Raises:
      UserError: something is missing, or cannot be used, or too many wait.
    """
    _check_complete(order)
    assert order.face is not None
    if len(order.text) > self.limits.max_characters:
      raise UserError(f'the text has {len(order.text)} characters, of at most {self.limits.max_characters}: shorten it')
    options = self._options(order)
    with self._refused(order.face):
      probe(order.face, self.limits.max_pixels)
    if order.speech is not None:
      self.check_speech(order.speech)
    return self._line.join(lambda report, cancel: self._make(order, options, report, cancel))

  def close(self) -> None:
    """Ends all dubs."""
    self._line.close()

  def _draw(self) -> None:
    self.examples.set_result(draw(self.storage.examples))

  @contextlib.contextmanager
  def _refused(self, upload: Path) -> Iterator[None]:
    """Deletes an upload that is too large, or is refused in the body."""
    try:
      self.limits.check_size(upload)
      yield
    except UserError:
      self.storage.discard(upload)
      raise

  def _options(self, order: Order) -> Options:
    _check_chosen(order.face_at, order.part)
    return Options(
      **self._defaults,
      face_at=None if order.everybody or order.speaking else order.face_at,
      all_faces=order.everybody,
      speaker='auto' if order.speaking else None,
      face_part=order.part,
      only=order.only,
      label='corner' if order.label else 'none',
    )

  def _make(self, order: Order, options: Options, report: Report, cancel: threading.Event) -> Result:
    assert order.face is not None  # checked before
    folder = self.storage.new_folder()
    video, boxes, spoken = (folder / name for name in ('dubbed.mp4', 'boxes.json', 'speech.wav'))
    speech = order.speech or spoken
    subtitles: tuple[Path, ...] = ()
    options = dataclasses.replace(options, save_boxes=boxes)
    with self.storage.held(order.face, speech, video):
      try:
        if order.speech is None:
          options, subtitles = _speak(order, options, spoken)
        self._dubber.dub(order.face, speech, video, options, report=report, cancel=cancel)
      except BaseException as error:
        self.storage.remove(folder)
        if isinstance(error, UserError) and 'only' in error.options and order.only is not None:
          raise UserError(f'there is nothing to make at {order.only[0]:g} s: the dub is shorter') from error
        raise
    return Result(
      video=video,
      boxes=boxes,
      subtitles=subtitles,
      command=command_line(order, options, self._checkpoint),
      before=order.face,
      part=order.part,
      only=order.only,
      still=probe(order.face).still,
    )


def command_line(order: Order, options: Options, checkpoint: object) -> str:
  """Returns the command that makes the same dub, of files with the names that the user knows."""
  flags: dict[str, str | None] = {'face': order.face.name if order.face else ''}
  if order.speech is not None:
    flags['audio'] = order.speech.name
  else:
    said = {'voice': order.voice if order.voice != VOICES[0] else '', 'language': order.language}
    flags |= {'text': order.text} | {name: value for name, value in said.items() if value}
  flags |= {'output': 'dubbed.mp4', 'checkpoint': str(checkpoint)}
  for field in dataclasses.fields(Options):
    value = getattr(options, field.name)
    if value != field.default and field.name not in UNSAID:
      flags[field.name] = _as_flag(value)
  words = (f'--{name}' if value is None else f'--{name}={shlex.quote(value)}' for name, value in flags.items())
  return ' '.join(['python infer.py', *words])


def _as_flag(value: Any) -> str | None:
  """Returns what a flag says after its name; None if its name says it already."""
  if value is True:
    return None
  return ','.join(f'{number:g}' for number in value) if isinstance(value, list | tuple) else str(value)


def _check_complete(order: Order) -> None:
  if order.face is None:
    raise UserError('there is no face yet: give a film or a picture')
  if order.speech is None and not order.text.strip():
    raise UserError('there is no speech yet: give a sound file, record some, or write a text')
  if order.speech is None:
    check_choice('voice', order.voice, VOICES)
  if not order.consent:
    raise UserError(f'consent=True says that {CONSENT}', 'consent')


def _check_chosen(place: Sequence[float] | None, part: Sequence[float] | None) -> None:
  """Raises UserError if a face was chosen in a frame that is trimmed away."""
  if place is not None and part is not None and not part[0] <= place[-1] < part[1]:
    raise UserError(
      f'the face was chosen at {place[-1]:g} s, which is trimmed away: choose it in the part that is used'
    )


def _speak(order: Order, options: Options, sound: Path) -> tuple[Options, tuple[Path, ...]]:
  """Writes a text as sound, and its subtitles beside; returns the options, which say whose voice it is."""
  from lpips_jax.speaking import say, write_subtitles  # takes a while to import
  from lpips_jax.speaking.driving import heard

  utterance = say(order.text, order.voice, order.language or None)
  utterance.write(sound)
  subtitles = sound.with_name('dubbed.vtt'), sound.with_name('dubbed.srt')
  for file in subtitles:
    write_subtitles(file, heard(utterance.cues, options))
  return dataclasses.replace(options, synthetic_voice=utterance.voice), subtitles
