"""The dubbing engine: frames flow one by one through decode | find | generate | composite | encode.

Each step runs in a thread of its own, a bounded number of frames ahead of the next, so memory does not grow with the
length of the video, and the whole is as fast as its slowest step.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

from absl import logging

from lpips_jax.audio import loudness
from lpips_jax.audio.mel import SAMPLE_RATE
from lpips_jax.core.errors import UserError
from lpips_jax.core.progress import progress_bar
from lpips_jax.dubbing import selection
from lpips_jax.dubbing.boxes import FoundBoxes, GivenBoxes, Locator, write_boxes
from lpips_jax.dubbing.compositing import References, composite, generate
from lpips_jax.dubbing.lookahead import SHORTEST_LOOK, LookaheadResult, look_ahead
from lpips_jax.dubbing.options import Options, Path_
from lpips_jax.dubbing.preview import write_preview
from lpips_jax.dubbing.speech import Speech
from lpips_jax.dubbing.stages import Stages, Times, opencv_on_one_thread
from lpips_jax.faces.detect import Detect, make_detector
from lpips_jax.media import video_writer
from lpips_jax.media.playback import Shown, play, play_there_and_back
from lpips_jax.media.speech import load_driving_speech
from lpips_jax.media.video_reader import VideoInfo, probe

BATCH_SIZE = 8  # faces generated at once; more take memory, and are no faster on a CPU
LARGEST_BATCH = 4096
DEPTH = 4  # frames between two steps
PRECISIONS = 'auto', 'float32', 'bfloat16'


class Dubber:
  """Dubs one video after another with one generator, which stays compiled.

  Args:
    checkpoint: a generator's checkpoint directory, or the generator that `lpips_jax.load` made of it.
    batch_size: faces generated at once.
    precision: what the generator computes in: `float32`, `bfloat16`, or `auto`, which is bfloat16 on GPUs and TPUs.
    progress: shows how far a dub is: a bar on a terminal, else a line a minute.
    trust_stablehlo: whether the checkpoint may be StableHLO, which is a program.

  Attributes:
    times: what each step of the last dub took.
    seconds: what the last dub took, from its first step to its last.
    all_times: what each step of all dubs took.
    all_seconds: what all dubs took.

  Raises:
    UserError: there is no generator.
  """

  def __init__(
    self,
    checkpoint: Path_ | Callable[..., Any],
    batch_size: int = BATCH_SIZE,
    precision: str = 'auto',
    progress: bool = True,
    trust_stablehlo: bool = False,
  ) -> None:
    if not 1 <= batch_size <= LARGEST_BATCH:
      raise UserError(f'--batch_size must be from 1 to {LARGEST_BATCH}, not {batch_size}')
    if precision not in PRECISIONS:
      raise UserError(f'--precision must be one of {", ".join(PRECISIONS)}, not {precision!r}')
    self.times: dict[str, Times] = {}
    self.seconds = self.all_seconds = 0.0
    self.all_times: dict[str, Times] = {}
    self._checkpoint, self._batch_size, self._precision = checkpoint, batch_size, precision
    self._progress, self._trust_stablehlo = progress, trust_stablehlo
    self._made: Any = None
    self._detectors: dict[tuple, Detect] = {}

  @property
  def generator(self) -> Any:
    """Loaded when first asked for: bad input is told before."""
    if self._made is None:
      from lpips_jax.dubbing.generator import Generator, load_generator  # JAX takes seconds to import

      self._made = Generator(load_generator(self._checkpoint, self._trust_stablehlo), self._batch_size, self._precision)
    return self._made

  @property
  def fingerprint(self) -> str:
    """Twelve digits that other weights do not have, and what they compute in."""
    return f'{getattr(self.generator.network, "fingerprint", "")} {self._precision}'

  @property
  def frames(self) -> int:
    """How many frames the last dub has written."""
    return self.times['encode'].items if 'encode' in self.times else 0

  def dub(self, face: Path_, audio: Path_, output: Path_, options: Options | None = None) -> None:
    """Makes a video in which a face speaks.

    The output has the face's size, colours and frame times, and the driving track as its sound. Where sound and picture
    of `audio` start at different times, the speech keeps its distance from the first frame.

    Args:
      face: a video or a still image (which becomes a video of 25 frames a second).
      audio: a sound file, or a video whose sound is taken.
      output: the video to write.
      options: see there.

    Raises:
      UserError: an input is bad, or the output cannot be written; then nothing is left behind.
    """
    options = options or Options()
    self.times = {}
    _check_outputs(output, options, (face, audio))
    info = probe(face, options.max_pixels)
    delay, samples = load_driving_speech(audio, 60 * options.max_minutes)
    if loudness.speech_level(samples) is None:
      logging.warning('nothing is heard in %s: it is silent, or below -60 dB of full scale', audio)
    length = 'audio' if info.still else options.length  # a still image has no length of its own
    heard = audio, length == 'audio', delay
    end = None if length == 'video' else Fraction(len(samples), SAMPLE_RATE)
    locate = self._locator(face, info, options)
    source = (play_there_and_back if length == 'audio' else play)(face, info)

    begun = time.perf_counter()
    looked = self._look(face, info, locate, end, options)
    generator = self.generator
    rest = (options.reference or generator.reference) == 'rest'
    references = References(looked, rest)
    speech = Speech(samples, options.silence == 'closed', generator.speech, generator.level)
    with opencv_on_one_thread(), contextlib.ExitStack() as outputs, Stages() as stages:
      stages.times.update(self.times)
      self.times = stages.times
      frames = stages.ahead('decode', _until(source, end), DEPTH)
      located = stages.ahead('find', (looked or locate)(frames), DEPTH)
      write = outputs.enter_context(  # first, to be finished last: where it is, everything is
        video_writer.write_video(output, info, *heard, options.codec, options.crf)
      )
      watch = None if options.preview is None else outputs.enter_context(write_preview(options.preview, info, *heard))
      batches = stages.ahead('generate', generate(located, speech, generator, references), 1)
      dubbed = stages.ahead('composite', composite(batches, options.sharpen, watch), DEPTH)
      encoded = stages.here('encode', _encoded(dubbed, write))
      total = _expected(info, end, length)
      with progress_bar('dubbing', total, 'frame', self._progress) as bar:
        for _ in encoded:
          bar.update()
      if options.save_boxes is not None:
        write_boxes(options.save_boxes, locate.found)
    self.seconds = time.perf_counter() - begun
    self.all_seconds += self.seconds
    for name, times in self.times.items():
      self.all_times[name] = self.all_times.get(name, Times()) + times

  def _look(
    self, face: Path_, info: VideoInfo, locate: Locator, end: Fraction | None, options: Options
  ) -> LookaheadResult | None:
    """Looks ahead for mouths at rest, unless none will be shown; meanwhile the generator is loaded."""
    if options.reference == 'frame' and options.silence == 'model':
      return None
    frames = play(face, info) if end is None else _until(play(face, info), max(end, SHORTEST_LOOK))
    bar = progress_bar('looking', info.frames, 'frame', self._progress)
    with ThreadPoolExecutor(1) as looking, opencv_on_one_thread(), bar, Stages() as stages:
      self.times = stages.times
      decoded = stages.ahead('look: decode', frames, DEPTH)
      located = stages.ahead('look: find', locate(decoded), DEPTH)
      looked = looking.submit(look_ahead, _counted(located, bar.update))
      self.generator  # noqa: B018, loaded meanwhile; what is wrong with it is told first
      return looked.result()

  def _locator(self, face: Path_, info: VideoInfo, options: Options) -> Locator:
    if options.boxes is not None:
      return GivenBoxes(options, info)
    find = self._detector(options)
    return FoundBoxes(face, info, find, _chooser(face, info, find, options), options)

  def _detector(self, options: Options) -> Detect:
    key = options.detector, options.detector_model
    if key not in self._detectors:
      self._detectors[key] = make_detector(*key)
    return self._detectors[key]


def dub(
  face: Path_,
  audio: Path_,
  output: Path_,
  checkpoint: Path_ | Callable[..., Any],
  *,
  batch_size: int = BATCH_SIZE,
  precision: str = 'auto',
  progress: bool = True,
  **options: Any,
) -> None:
  """Makes a video in which a face speaks: `Dubber.dub` for one video, with the fields of `Options` as arguments."""
  Dubber(checkpoint, batch_size, precision, progress).dub(face, audio, output, Options(**options))


def _until(frames: Iterable[Shown], end: Fraction | None) -> Iterator[Shown]:
  """The frames that are shown before a time, at least one."""
  for number, shown in enumerate(frames):
    if number and end is not None and shown.time >= end:
      return
    yield shown


def _counted(items: Iterable[Any], count: Callable[[], Any]) -> Iterator[Any]:
  for item in items:
    yield item
    count()


def _chooser(face: Path_, info: VideoInfo, find: Detect, options: Options) -> selection.Choose:
  if options.all_faces:
    return selection.everybody
  if options.face_at is not None:
    x, y, time = options.face_at
    return selection.person_at(play(face, info), find, info, x, y, time)
  return selection.FollowOne(options.face_index)


def _encoded(frames: Iterable[Shown], write: video_writer.Write) -> Iterator[None]:
  for shown in frames:
    yield write(shown.planes, shown.time)


def _expected(info: VideoInfo, end: Fraction | None, length: str) -> int | None:
  """How many frames there will be, as far as one can tell."""
  of_sound = None if end is None else max(1, -(-end * info.rate // 1))
  if length == 'audio' or info.frames is None:
    return of_sound
  return info.frames if of_sound is None else min(of_sound, info.frames)


def _check_outputs(output: Path_, options: Options, inputs: Sequence[Path_]) -> None:
  """Raises UserError unless all that is asked for can be written, and none of it is an input or the other output."""
  video_writer.check_output(output, options.codec, options.crf)
  outputs = [output]
  if options.preview is not None:
    video_writer.check_output(options.preview)
    outputs.append(options.preview)
  if options.save_boxes is not None:
    video_writer.check_place(options.save_boxes)
    outputs.append(options.save_boxes)
  if len({os.path.realpath(path) for path in outputs}) < len(outputs):
    raise UserError('--output, --preview and --save_boxes must be different files')
  for path in outputs:
    if Path(path).exists() and any(Path(given).exists() and Path(path).samefile(given) for given in inputs):
      raise UserError(f'the output {os.fspath(path)} is one of the inputs: choose another name')
