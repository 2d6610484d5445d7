"""Dubbing end to end beside PyTorch: the part `--parts=torch` of `python -m benchmarks.speed.dub`.

Measures frames dubbed per second over a whole call, files in and a file out, after models are loaded and compiled and
everything has run once. Ours is `Dubber.dub`. PyTorch's rows are the straightforward way
(`benchmarks.speed.sequential`) around PyTorch's generator, which runs as in `benchmarks.speed.generator`. All of them
detect the face in every frame: `released_recipe` at full size, like Wav2Lip's code, the others in frames reduced to the
size that our engine uses.

These rows differ from ours in engine and network. PyTorch's most tuned network is therefore also measured in our
engine, as `..._in_our_engine`: ours over that row is the gain of the network, and that row over the same row without
our engine is the gain of the engine. It counts for no ratio over PyTorch. The networks must give the same images for
the same crops, dubs must have the same number of frames, and boxes must agree. CUDA graphs are left out, as they belong
to a thread.
"""

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from absl import flags

from benchmarks.speed import films, generator, sequential, side_by_side
from benchmarks.speed.generator import Frames
from benchmarks.speed.sequential import FULL_SIZE
from benchmarks.speed.side_by_side import OURS, Case, Comparison
from benchmarks.speed.workers import Contender, Outputs, Side
from lpips_jax.core import cli
from lpips_jax.dubbing import selection
from lpips_jax.dubbing.compositing import MouthGenerator
from lpips_jax.dubbing.engine import Dubber
from lpips_jax.dubbing.options import Options
from lpips_jax.dubbing.speech import Speech
from lpips_jax.faces import cropping
from lpips_jax.faces.detect import DETECTION_SIDE, Detect, make_detector
from lpips_jax.media.playback import play
from lpips_jax.media.speech import load_driving_speech
from lpips_jax.media.video_reader import count_frames, probe, read_frames

if TYPE_CHECKING:  # our process imports no PyTorch
  from benchmarks.torch_reference.inference import FaceGenerator

BATCH_SIZES = {'cpu': [8], 'gpu': [32, 128]}  # Wav2Lip's released code has 128
FILM_SECONDS = {'cpu': 4, 'gpu': 20}
IMAGE_SIZE = 96
IN_OUR_ENGINE = '_in_our_engine'
CHECKED_FACES = 4
COMPILE_MODES = {'cpu': ('default',), 'gpu': ('default', 'max-autotune-no-cudagraphs')}
MAX_BOX_DISTANCE = 0.02  # mean over edges, in widths of the face


@dataclasses.dataclass(frozen=True)
class Dub:
  """A film and speech to dub, and how.

  Attributes:
    face: the film.
    audio: the speech.
    directory: directory of the dubs.
    network: image size and batch size of the generator.
    kind: the detector, 'yunet' or 'cascade'.
    model: the detector's file, if it has one.
  """

  face: Path
  audio: Path
  directory: Path
  network: Frames
  kind: str
  model: Path | None

  def output(self, name: str) -> Path:
    return self.directory / f'{self.face.stem}-{name}.mp4'

  def detector(self, longest_side: int = DETECTION_SIDE) -> Detect:
    return make_detector(self.kind, self.model, longest_side)


def measure(directory: Path, kind: str, model: Path | None) -> dict[str, Any]:
  """Measures all rows as the flags say, and returns the figures.

  Args:
    directory: directory of films and dubs.
    kind: the detector, 'yunet' or 'cascade'.
    model: the detector's file, if it has one.

  Raises:
    UserError: the rows find other faces than we do.
  """
  apart: dict[str, dict[int, float]] = {}
  if {'reduce-overhead', 'max-autotune'}.intersection(flags.FLAGS.compile_modes):
    cli.fail('CUDA graphs belong to a thread, and dubbing has several: give --compile_modes without them')

  def cases(platform: str) -> list[Case]:
    given, found = flags.FLAGS, []
    seconds = given.film_seconds or FILM_SECONDS[platform]
    films_ = [Path(path).absolute() for path in given.faces]
    films_ = films_ or [films.film(directory / '720p.mp4', 1280, 720, seconds)]
    audio = Path(given.audio).absolute() if given.audio else films.speech(directory / 'torch.wav', seconds, seconds)
    for face in films_:
      count, rows = sequential.frames_to_dub(face, audio), side_by_side.rows(platform)
      for size in map(int, given.batch_sizes or BATCH_SIZES[platform]):
        dub = Dub(face, audio, directory, Frames(IMAGE_SIZE, size, given.tiny), kind, model)
        found.append(Case(face.name, size, count, dub, (rows[-1] + IN_OUR_ENGINE,)))
      apart[face.name] = edges_apart(dub, count, rows)
    return found

  figures = side_by_side.measure(Comparison(cases, ours, reference, 'frames', generator.TOLERANCES, COMPILE_MODES))
  return figures | {'edges_apart_in_face_widths': apart}


def edges_apart(dub: Dub, count: int, rows: Sequence[str]) -> dict[int, float]:
  """Returns the mean distance of the rows' boxes from ours, in widths of the face, by detection size in pixels.

  Raises:
    UserError: no face is found, or the boxes are not around the same face.
  """
  info = probe(dub.face)
  located = selection.follow(itertools.islice(play(dub.face, info), count), dub.detector(), info, selection.FollowOne())
  ours = [boxes[0] if boxes else np.full(5, np.nan) for _, boxes in located]
  frames = list(itertools.islice(read_frames(dub.face), count))
  apart: dict[int, float] = {}
  for longest_side in sorted(set(map(_detection_side, rows))):
    theirs = sequential.find_boxes(frames, dub.detector(longest_side), info)
    distances = sequential.edges_apart(ours, theirs)
    if np.isnan(distances).all():
      cli.fail(f'{dub.face.name}: no face is found in it: give films of one face each')
    apart[longest_side] = float(np.nanmean(distances))
    if apart[longest_side] > MAX_BOX_DISTANCE:
      cli.fail(f'{dub.face.name}: boxes are {apart[longest_side]:.1%} of a face from ours: not the same work')
  return apart


def _detection_side(row: str) -> int:
  """The longer side, in pixels, to which a row reduces frames for face detection."""
  return FULL_SIZE if row == 'released_recipe' else DETECTION_SIDE


def ours(dub: Dub) -> Side:
  """Returns our engine with our network."""
  import jax

  network = generator.make_network(dub.network)
  dubber = Dubber(network, dub.network.batch_size, progress=False)
  run = _engine(dub, dubber, dub.output(OURS))
  return Side(
    jax.default_backend(),
    jax.devices()[0].device_kind,
    jax.__version__,
    {OURS: Contender(partial(_compared, dub, run, dub.output(OURS), dubber.generator), partial(_repeat, run))},
    jax.device_get(network.variables),
  )


def reference(dub: Dub, variables: dict[str, Any], names: Sequence[str], compile_mode: str) -> Side:
  """Returns PyTorch's network in the straightforward way, or in our engine where the name says so."""
  from benchmarks.torch_reference import recipes
  from benchmarks.torch_reference.inference import FaceGenerator, make_generate
  from benchmarks.torch_reference.networks import build
  from benchmarks.torch_reference.weights import load

  device = recipes.start()
  config = dub.network.config()
  contenders: dict[str, Contender] = {}
  run: Callable[[], Any]
  for name in names:
    recipe = recipes.recipe(name.removesuffix(IN_OUR_ENGINE), device, compile_mode)
    generate = make_generate(load(build(config.model), variables), recipe)
    network = FaceGenerator(generate, recipe, config, dub.network.batch_size)
    output = dub.output(name)
    if name.endswith(IN_OUR_ENGINE):
      run = _engine(dub, _Dubber(network), output)
    else:
      find, count = dub.detector(_detection_side(name)), sequential.frames_to_dub(dub.face, dub.audio)
      run = partial(sequential.dub, dub.face, dub.audio, output, count, network, find)
    contenders[name] = recipe.contender(run, partial(_compared, dub, run, output, network))
  return recipes.side(device, contenders)


class _Dubber(Dubber):
  """Our engine with PyTorch's generator, without JAX in between."""

  def __init__(self, network: 'FaceGenerator') -> None:
    super().__init__('', network.batch_size, progress=False)
    self._network = network

  @property
  def generator(self) -> 'FaceGenerator':  # type: ignore[override]  # it has all that the engine uses
    return self._network


def _engine(dub: Dub, dubber: Dubber, output: Path) -> Callable[[], None]:
  # PyTorch's side writes no marks of provenance, so neither does this.
  options = Options(detector=dub.kind, detector_model=dub.model, length='shortest', no_marks=True)
  return partial(dubber.dub, dub.face, dub.audio, output, options)


def _compared(dub: Dub, run: Callable[[], Any], output: Path, network: MouthGenerator) -> Outputs:
  """Dubs, and returns the images for the first frames, cropped at one place.

  Raises:
    RuntimeError: the dub has another number of frames than it should.
  """
  frames = list(itertools.islice(read_frames(dub.face), CHECKED_FACES))
  height, width, _ = frames[0].shape
  crops = [cropping.crop(frame, (width / 4, height / 4, 3 * width / 4, height), network.image_size) for frame in frames]
  speech = Speech(load_driving_speech(dub.audio)[1], False)
  windows = speech([k / probe(dub.face).rate for k in range(len(crops))], network.lead)
  images = sequential.generated(network, crops, windows)
  run()
  found, expected = count_frames(output), sequential.frames_to_dub(dub.face, dub.audio)
  if found != expected:
    raise RuntimeError(f'the dub has {found} frames, not {expected}')
  return {'images': images}


def _repeat(run: Callable[[], None], repeats: int) -> None:
  for _ in range(repeats):
    run()
