"""The dubbing engine: frames flow one by one through decode | find | generate | composite | encode.

Each step runs in a thread of its own, a bounded number of frames ahead of the next. Memory therefore does not grow with
the length of the video, and the whole is as fast as its slowest step.
"""

import contextlib
import dataclasses
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from lpips_jax import provenance
from lpips_jax.core.errors import UserError, check_choice
from lpips_jax.core.files import PathLike
from lpips_jax.core.progress import Report, reported
from lpips_jax.dubbing import selection
from lpips_jax.dubbing.boxes import FoundBoxes, GivenBoxes, Located, Locator, write_boxes
from lpips_jax.dubbing.compositing import References, composite, generate
from lpips_jax.dubbing.inputs import Inputs, check_outputs, film_info, open_inputs, unless_cancelled, until
from lpips_jax.dubbing.label import labelled
from lpips_jax.dubbing.lookahead import MIN_LOOK_AHEAD, LookaheadResult, look_ahead
from lpips_jax.dubbing.options import Options
from lpips_jax.dubbing.preview import Watch, write_preview
from lpips_jax.dubbing.remote import local_files
from lpips_jax.dubbing.speakers import expert_for, who_speaks
from lpips_jax.dubbing.speech import Speech, check_drive
from lpips_jax.dubbing.stages import Stages, StageTimes, opencv_on_one_thread
from lpips_jax.dubbing.turns import Interview, Turn, mixed, read_turns
from lpips_jax.faces.detect import Detect, make_detector
from lpips_jax.media import video_writer, ycbcr
from lpips_jax.media.playback import PlayedFrame, play

if TYPE_CHECKING:  # bad input is reported before the seconds that JAX takes to import
  from lpips_jax.dubbing.generator import BatchedGenerator

DEFAULT_BATCH_SIZE = 8  # faces generated at once; more take memory, and are no faster on a CPU
MAX_BATCH_SIZE = 4096
QUEUE_DEPTH = 4  # frames between two steps
PRECISIONS = 'auto', 'float32', 'bfloat16'

Item = TypeVar('Item')


class Picture(NamedTuple):
  """A picture of a dub.

  Attributes:
    time: seconds after the first one.
    rgb: (h, w, 3) uint8.
  """

  time: Fraction
  rgb: np.ndarray


class Dubber:
  """A generator that dubs one video after another, and stays compiled.

  Args:
    checkpoint: a generator's checkpoint directory, or the generator that `lpips_jax.load` made of it.
    batch_size: faces generated at once.
    precision: what the generator computes in: `float32`, `bfloat16`, or `auto`, which is bfloat16 on GPUs and TPUs.
    progress: whether to show how far a dub is: a bar on a terminal, else a line a minute.
    trust_stablehlo: whether the checkpoint may be StableHLO, which is a program.

  Attributes:
    times: the work of each step of the last dub.
    seconds: duration of the last dub, from its first step to its last.
    all_times: the work of each step of all dubs.
    all_seconds: duration of all dubs.

  Raises:
    UserError: an argument is out of range; later, there is no generator, or another dub is not finished yet.
  """

  def __init__(
    self,
    checkpoint: PathLike | Callable[..., Any],
    batch_size: int = DEFAULT_BATCH_SIZE,
    precision: str = 'auto',
    progress: bool = True,
    trust_stablehlo: bool = False,
  ) -> None:
    if not 1 <= batch_size <= MAX_BATCH_SIZE:
      raise UserError(f'batch_size must be from 1 to {MAX_BATCH_SIZE}, not {batch_size}', 'batch_size')
    check_choice('precision', precision, PRECISIONS)
    self.times: dict[str, StageTimes] = {}
    self.seconds = self.all_seconds = 0.0
    self.all_times: dict[str, StageTimes] = {}
    self._checkpoint, self._batch_size, self._precision = checkpoint, batch_size, precision
    self._progress, self._trust_stablehlo = progress, trust_stablehlo
    self._generator: BatchedGenerator | None = None
    self._at_work = threading.Lock()
    self._detectors: dict[tuple[str, PathLike | None], Detect] = {}

  @property
  def generator(self) -> 'BatchedGenerator':
    """The generator, loaded when first asked for: bad input is reported before."""
    if self._generator is None:
      from lpips_jax.dubbing.generator import BatchedGenerator, load_generator  # JAX takes seconds to import

      network = load_generator(self._checkpoint, self._trust_stablehlo)
      self._generator = BatchedGenerator(network, self._batch_size, self._precision)
    return self._generator

  @property
  def fingerprint(self) -> str:
    """Twelve digits that identify the weights, and the precision in which they compute."""
    return f'{getattr(self.generator.network, "fingerprint", "")} {self._precision}'

  @property
  def frames(self) -> int:
    """The number of frames that the last dub has written."""
    return self.times['encode'].items if 'encode' in self.times else 0

  def dub(
    self,
    face: PathLike,
    audio: PathLike | None,
    output: PathLike,
    options: Options | None = None,
    *,
    report: Report | None = None,
    cancel: threading.Event | None = None,
  ) -> None:
    """Makes a video in which a face speaks.

    The output has the face's size, colours and frame times, and the driving track as its sound. If sound and picture of
    `audio` start at different times, the speech keeps its distance from the first frame. Paths may be URLs in buckets.

    Args:
      face: a video or a still image (which becomes a video of 25 frames a second).
      audio: a sound file, or a video whose sound is used; None with `Options.turns`.
      output: the video to write.
      options: the defaults of `Options` if None.
      report: is told the progress, frame by frame: of the stage `looking`, for faces, then of `dubbing`.
      cancel: may be set from another thread, to end the dub.

    Raises:
      UserError: an input is bad, or the output cannot be written; then nothing is left behind.
      Cancelled: `cancel` was set; likewise.
    """
    with local_files(face, audio, output, options or Options()) as files:
      self._dub(*files, report, cancel or threading.Event())

  def stream(
    self,
    face: PathLike,
    audio: PathLike | None,
    options: Options | None = None,
    *,
    report: Report | None = None,
    cancel: threading.Event | None = None,
  ) -> Iterator[Picture]:
    """Yields the pictures of a dub as they are made; nothing is written.

    Closing the iterator ends the work. Takes and raises the same as `dub`, whose outputs and codecs it does not use.
    """
    options, cancel = options or Options(), cancel or threading.Event()
    if options.preview is not None or options.save_boxes is not None:
      raise UserError('a stream writes no files: leave out preview and save_boxes', 'preview', 'save_boxes')
    with (
      local_files(face, audio, 'none', options) as (face, audio, _, options),
      self._prepared(face, audio, _turns_of(options, audio), options, report, cancel) as dub,
      self._running(dub, None, cancel) as (_, frames),
      reported('dubbing', dub.inputs.frames, 'frame', self._progress, report) as advance,
    ):
      for shown in frames:
        yield Picture(shown.time, ycbcr.to_rgb(shown.planes))
        advance()

  def _dub(
    self,
    face: PathLike,
    audio: PathLike | None,
    output: PathLike,
    options: Options,
    report: Report | None,
    cancel: threading.Event,
  ) -> None:
    """Makes a dub of files of this machine."""
    turns = _turns_of(options, audio)
    check_outputs(
      output, options, [each for each in (face, audio, *(turn.audio for turn in turns)) if each is not None]
    )
    with self._prepared(face, audio, turns, options, report, cancel) as dub, contextlib.ExitStack() as outputs:
      inputs, marks = dub.inputs, self._marks(dub)
      # The output is opened first, so finished last: once it is there, everything is.
      write = outputs.enter_context(
        video_writer.write_video(output, inputs.info, *inputs.sound, options.codec, options.crf, marks)
      )
      watch = None
      if options.preview is not None:
        watch = outputs.enter_context(write_preview(options.preview, inputs.info, *inputs.sound, marks))
      with self._running(dub, watch, cancel) as (stages, frames):
        encoded = stages.here('encode', _encode(frames, write))
        with reported('dubbing', inputs.frames, 'frame', self._progress, report) as advance:
          for _ in encoded:
            advance()
      if options.save_boxes is not None:
        write_boxes(options.save_boxes, dub.locate.source_boxes())

  @contextlib.contextmanager
  def _prepared(
    self,
    face: PathLike,
    audio: PathLike | None,
    turns: list[Turn],
    options: Options,
    report: Report | None,
    cancel: threading.Event,
  ) -> Iterator['_Dub']:
    """Opens the inputs, looks ahead and loads the generator; afterwards adds up the times of the dub."""
    if not self._at_work.acquire(blocking=False):  # its detector and generator serve one dub at a time
      raise UserError('this Dubber is at work on another dub: wait for it, or make another Dubber')
    with contextlib.ExitStack() as opened:
      opened.callback(self._at_work.release)
      self.times = {}
      if options.said is not None or any(turn.said is not None for turn in turns):
        check_drive(self.generator.speech)
      interview = None
      if turns:
        interview = opened.enter_context(mixed(turns, film_info(face, options), options.max_minutes))
      inputs = open_inputs(face, (audio or '') if interview is None else interview.mix, options, cancel)
      began = time.perf_counter()
      if interview is None:
        locate, takers = self._locator(inputs, options, report, cancel), None
      else:
        takers = selection.TurnTakers(interview.faces, face, inputs.info, self._detector(options))
        locate = FoundBoxes(face, inputs.info, self._detector(options), takers, options, takers.voices)
      looked = self._look_ahead(inputs, locate, options, report, cancel)
      if takers is not None:
        takers.check()
      rest = (options.reference or self.generator.reference) == 'rest'
      speeches = self._speeches(inputs, interview, options)
      yield _Dub(inputs, locate, looked, References(looked, rest), speeches, options)
    self._add_up(time.perf_counter() - began)

  def _speeches(self, inputs: Inputs, interview: Interview | None, options: Options) -> list[Speech]:
    """Returns the speech of each voice."""
    pauses, generator = options.silence == 'closed', self.generator
    how, length = (generator.speech, generator.level, inputs.begin), generator.speech_window
    if interview is None:
      first = options.audio_part[0] if options.audio_part else 0.0
      said = None if options.said is None else [(phone, end - first) for phone, end in options.said]
      return [Speech(inputs.samples, pauses, *how, said=said, length=length)]
    each = zip(interview.tracks, interview.spans, interview.said, strict=True)
    return [Speech(track, pauses, *how, turns=spans, said=said, length=length) for track, spans, said in each]

  @contextlib.contextmanager
  def _running(
    self, dub: '_Dub', watch: Watch | None, cancel: threading.Event
  ) -> Iterator[tuple[Stages, Iterator[PlayedFrame]]]:
    """Starts the stages of a dub; yields them and the dubbed frames."""
    with opencv_on_one_thread(), Stages(cancel) as stages:
      stages.times.update(self.times)
      self.times = stages.times
      frames = stages.ahead('decode', dub.inputs.played(), QUEUE_DEPTH)
      located = stages.ahead('find', _made(dub.inputs, (dub.looked or dub.locate)(frames)), QUEUE_DEPTH)
      batches = stages.ahead('generate', generate(located, dub.speeches, self.generator, dub.references), 1)
      dubbed = composite(batches, dub.options.sharpen, watch)
      if dub.options.label == 'corner':
        dubbed = labelled(dubbed)
      yield stages, stages.ahead('composite', dubbed, QUEUE_DEPTH)

  def _marks(self, dub: '_Dub') -> video_writer.FileMarks | None:
    """Returns the marks of provenance of a dub, unless none are wanted."""
    inputs, options = dub.inputs, dub.options
    if options.no_marks:
      return None
    statement = provenance.Statement(
      'animated' if inputs.info.still else 'dubbed',
      model=getattr(self.generator.network, 'fingerprint', ''),
      voice=options.synthetic_voice,
    )
    return provenance.marks(statement, inputs.face, inputs.audio, options.c2pa_cert, options.c2pa_key)

  def _add_up(self, seconds: float) -> None:
    self.seconds = seconds
    self.all_seconds += seconds
    for name, times in self.times.items():
      self.all_times[name] = self.all_times.get(name, StageTimes()) + times

  def _look_ahead(
    self, inputs: Inputs, locate: Locator, options: Options, report: Report | None, cancel: threading.Event
  ) -> LookaheadResult | None:
    """Looks ahead for mouths at rest, unless none will be shown; meanwhile the generator is loaded."""
    if options.reference == 'frame' and options.silence == 'model' and options.turns is None:
      return None
    end = None if inputs.read_until is None else max(inputs.read_until, MIN_LOOK_AHEAD)
    frames = until(play(inputs.face, inputs.info), end)
    bar = reported('looking', inputs.info.frames, 'frame', self._progress, report)
    with ThreadPoolExecutor(1) as looking, opencv_on_one_thread(), bar as advance, Stages(cancel) as stages:
      self.times = stages.times
      decoded = stages.ahead('look: decode', frames, QUEUE_DEPTH)
      located = stages.ahead('look: find', locate(decoded), QUEUE_DEPTH)
      looked = looking.submit(look_ahead, _counted(located, advance))
      self.generator  # noqa: B018, loaded meanwhile; its errors are raised before those of the look
      try:
        return looked.result()
      finally:
        del looked  # which would hold its error, and the error itself by its traceback

  def _locator(self, inputs: Inputs, options: Options, report: Report | None, cancel: threading.Event) -> Locator:
    if options.boxes is not None:
      return GivenBoxes(options.boxes, options.pads, inputs.info)
    find = self._detector(options)
    frames = unless_cancelled(play(inputs.face, inputs.info), cancel)
    if options.speaker is None:
      choose = selection.chosen_by(options, frames, find, inputs.info)
    else:
      expert = expert_for(self._checkpoint, options.speaker_expert)
      with opencv_on_one_thread(), reported('looking', inputs.info.frames, 'frame', self._progress, report) as advance:
        choose = who_speaks(_counted(frames, advance), find, inputs.info, inputs.face, expert)
    return FoundBoxes(inputs.face, inputs.info, find, choose, options)

  def _detector(self, options: Options) -> Detect:
    key = options.detector, options.detector_model
    if key not in self._detectors:
      self._detectors[key] = make_detector(*key)
    return self._detectors[key]


def dub(
  face: PathLike,
  audio: PathLike | None,
  output: PathLike,
  checkpoint: PathLike | Callable[..., Any],
  *,
  batch_size: int = DEFAULT_BATCH_SIZE,
  precision: str = 'auto',
  progress: bool = True,
  **options: Any,
) -> None:
  """Makes a video in which a face speaks: `Dubber.dub` for one video, with the fields of `Options` as arguments."""
  Dubber(checkpoint, batch_size, precision, progress).dub(face, audio, output, Options(**options))


@dataclass(frozen=True, eq=False)
class _Dub:
  """A dub that is ready to run: its inputs, and how faces, references and speech are found for each frame."""

  inputs: Inputs
  locate: Locator
  looked: LookaheadResult | None
  references: References
  speeches: list[Speech]
  options: Options


def _turns_of(options: Options, audio: PathLike | None) -> list[Turn]:
  """Returns the turns of a dub, none if it has speech; raises UserError unless it has one of the two."""
  if (audio is None) == (options.turns is None):
    problem = 'missing audio' if audio is None else 'turns have their own audio'
    raise UserError(f'{problem}: give one of audio and turns', 'audio', 'turns')
  if isinstance(options.turns, str | os.PathLike):
    return read_turns(options.turns)
  return list(options.turns or ())


def _made(
  inputs: Inputs, located: Iterable[tuple[PlayedFrame, list[Located]]]
) -> Iterator[tuple[PlayedFrame, list[Located]]]:
  """Yields the frames of the part of the dub that is made, and counts their times from its beginning."""
  shown, begin, end = None, inputs.begin, inputs.end
  for number, (shown, faces) in enumerate(located):
    if shown.time >= begin and (end is None or shown.time < end or not number):
      yield (shown if not begin else dataclasses.replace(shown, time=shown.time - begin)), faces
  if shown is not None and shown.time < begin:
    raise UserError(f'the dub ends before {float(begin):g} s, where `only` begins', 'only')


def _encode(frames: Iterable[PlayedFrame], write: video_writer.Write) -> Iterator[None]:
  """Writes frames, and yields after each."""
  for shown in frames:
    write(shown.planes, shown.time)
    yield


def _counted(items: Iterable[Item], count: Callable[[], Any]) -> Iterator[Item]:
  for item in items:
    yield item
    count()
