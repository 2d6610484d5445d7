"""The dubbing engine: frames flow one by one through decode | find | generate | composite | encode.

Each step runs in a thread of its own, a bounded number of frames ahead of the next. Memory therefore does not grow with
the length of the video, and the whole is as fast as its slowest step.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from absl import logging

from lpips_jax.audio import loudness
from lpips_jax.core.constants import SAMPLE_RATE
from lpips_jax.core.errors import UserError, check_choice
from lpips_jax.core.files import PathLike
from lpips_jax.core.progress import progress_bar
from lpips_jax.dubbing import selection
from lpips_jax.dubbing.boxes import FoundBoxes, GivenBoxes, Locator, write_boxes
from lpips_jax.dubbing.compositing import References, composite, generate
from lpips_jax.dubbing.lookahead import MIN_LOOK_AHEAD, LookaheadResult, look_ahead
from lpips_jax.dubbing.options import Options
from lpips_jax.dubbing.preview import write_preview
from lpips_jax.dubbing.speech import Speech
from lpips_jax.dubbing.stages import Stages, StageTimes, opencv_on_one_thread
from lpips_jax.faces.detect import Detect, make_detector
from lpips_jax.media import video_writer
from lpips_jax.media.playback import PlayedFrame, play, play_there_and_back
from lpips_jax.media.speech import load_driving_speech
from lpips_jax.media.video_reader import VideoInfo, probe

if TYPE_CHECKING:  # bad input is reported before the seconds that JAX takes to import
  from lpips_jax.dubbing.generator import BatchedGenerator

DEFAULT_BATCH_SIZE = 8  # faces generated at once; more take memory, and are no faster on a CPU
MAX_BATCH_SIZE = 4096
QUEUE_DEPTH = 4  # frames between two steps
PRECISIONS = 'auto', 'float32', 'bfloat16'

Item = TypeVar('Item')


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
    UserError: an argument is out of range; later, there is no generator.
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

  def dub(self, face: PathLike, audio: PathLike, output: PathLike, options: Options | None = None) -> None:
    """Makes a video in which a face speaks.

    The output has the face's size, colours and frame times, and the driving track as its sound. If sound and picture of
    `audio` start at different times, the speech keeps its distance from the first frame.

    Args:
      face: a video or a still image (which becomes a video of 25 frames a second).
      audio: a sound file, or a video whose sound is used.
      output: the video to write.
      options: the defaults of `Options` if None.

    Raises:
      UserError: an input is bad, or the output cannot be written; then nothing is left behind.
    """
    options = options or Options()
    self.times = {}
    _check_outputs(output, options, (face, audio))
    info = probe(face, options.max_pixels)
    delay, samples = load_driving_speech(audio, options.max_minutes)
    if loudness.speech_level(samples) is None:
      logging.warning('nothing is heard in %s: it is silent, or below -60 dB of full scale', audio)
    length = 'audio' if info.still else options.length  # a still image has no length of its own
    sound = audio, length == 'audio', delay
    end = None if length == 'video' else Fraction(len(samples), SAMPLE_RATE)
    locate = self._locator(face, info, options)
    source = (play_there_and_back if length == 'audio' else play)(face, info)

    began = time.perf_counter()
    looked = self._look_ahead(face, info, locate, end, options)
    generator = self.generator
    rest = (options.reference or generator.reference) == 'rest'
    references = References(looked, rest)
    speech = Speech(samples, options.silence == 'closed', generator.speech, generator.level)
    with opencv_on_one_thread(), contextlib.ExitStack() as outputs, Stages() as stages:
      stages.times.update(self.times)
      self.times = stages.times
      frames = stages.ahead('decode', _until(source, end), QUEUE_DEPTH)
      located = stages.ahead('find', (looked or locate)(frames), QUEUE_DEPTH)
      write = outputs.enter_context(  # opened first, so finished last: once it is there, everything is
        video_writer.write_video(output, info, *sound, options.codec, options.crf)
      )
      watch = None if options.preview is None else outputs.enter_context(write_preview(options.preview, info, *sound))
      batches = stages.ahead('generate', generate(located, speech, generator, references), 1)
      dubbed = stages.ahead('composite', composite(batches, options.sharpen, watch), QUEUE_DEPTH)
      encoded = stages.here('encode', _encode(dubbed, write))
      with progress_bar('dubbing', _expected_frames(info, end, length), 'frame', self._progress) as bar:
        for _ in encoded:
          bar.update()
      if options.save_boxes is not None:
        write_boxes(options.save_boxes, locate.source_boxes())
    self._add_up(time.perf_counter() - began)

  def _add_up(self, seconds: float) -> None:
    self.seconds = seconds
    self.all_seconds += seconds
    for name, times in self.times.items():
      self.all_times[name] = self.all_times.get(name, StageTimes()) + times

  def _look_ahead(
    self, face: PathLike, info: VideoInfo, locate: Locator, end: Fraction | None, options: Options
  ) -> LookaheadResult | None:
    """Looks ahead for mouths at rest, unless none will be shown; meanwhile the generator is loaded."""
    if options.reference == 'frame' and options.silence == 'model':
      return None
    frames = play(face, info) if end is None else _until(play(face, info), max(end, MIN_LOOK_AHEAD))
    bar = progress_bar('looking', info.frames, 'frame', self._progress)
    with ThreadPoolExecutor(1) as looking, opencv_on_one_thread(), bar, Stages() as stages:
      self.times = stages.times
      decoded = stages.ahead('look: decode', frames, QUEUE_DEPTH)
      located = stages.ahead('look: find', locate(decoded), QUEUE_DEPTH)
      looked = looking.submit(look_ahead, _counted(located, bar.update))
      self.generator  # noqa: B018, loaded meanwhile; its errors are raised before those of the look
      return looked.result()

  def _locator(self, face: PathLike, info: VideoInfo, options: Options) -> Locator:
    if options.boxes is not None:
      return GivenBoxes(options.boxes, options.pads, info)
    find = self._detector(options)
    return FoundBoxes(face, info, find, selection.chosen_by(options, face, info, find), options)

  def _detector(self, options: Options) -> Detect:
    key = options.detector, options.detector_model
    if key not in self._detectors:
      self._detectors[key] = make_detector(*key)
    return self._detectors[key]


def dub(
  face: PathLike,
  audio: PathLike,
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


def _check_outputs(output: PathLike, options: Options, inputs: Sequence[PathLike]) -> None:
  """Raises UserError unless every output can be written, and none of them is an input or another output."""
  video_writer.check_output(output, options.codec, options.crf)
  outputs = [output]
  if options.preview is not None:
    video_writer.check_output(options.preview)
    outputs.append(options.preview)
  if options.save_boxes is not None:
    video_writer.check_place(options.save_boxes)
    outputs.append(options.save_boxes)
  if len({os.path.realpath(path) for path in outputs}) < len(outputs):
    names = 'output', 'preview', 'save_boxes'
    raise UserError('output, preview and save_boxes must be different files', *names)
  for path in outputs:
    if Path(path).exists() and any(Path(given).exists() and Path(path).samefile(given) for given in inputs):
      raise UserError(f'the output {os.fspath(path)} is one of the inputs: choose another name')


def _until(frames: Iterable[PlayedFrame], end: Fraction | None) -> Iterator[PlayedFrame]:
  """Yields the frames that are shown before a time, in seconds, at least one; all if it is None."""
  for number, shown in enumerate(frames):
    if number and end is not None and shown.time >= end:
      return
    yield shown


def _expected_frames(info: VideoInfo, end: Fraction | None, length: str) -> int | None:
  """Returns how many frames a dub will have, as far as that is known before."""
  of_sound = None if end is None else max(1, -(-end * info.rate // 1))
  if length == 'audio' or info.frames is None:
    return of_sound
  return info.frames if of_sound is None else min(of_sound, info.frames)


def _encode(frames: Iterable[PlayedFrame], write: video_writer.Write) -> Iterator[None]:
  """Writes frames, and yields after each."""
  for shown in frames:
    write(shown.planes, shown.time)
    yield


def _counted(items: Iterable[Item], count: Callable[[], Any]) -> Iterator[Item]:
  for item in items:
    yield item
    count()
