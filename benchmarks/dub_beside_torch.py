"""End to end beside PyTorch: a part of `python -m benchmarks.dub`, by itself with `--parts=torch`.

Frames dubbed a second, of the whole of a call with files in and a file out, after models have been loaded and compiled
and everything has run once. Ours is `Dubber.dub`. PyTorch's rows are the straightforward way (`benchmarks.sequential`)
around PyTorch's generator, run as `benchmarks.generator` says. All of them look for the face in every frame:
`released_recipe` at full size, as Wav2Lip's code does, the others in frames as small as those in which we look.

Where they differ from ours is the engine as well as the network; so PyTorch's tuned network is measured in our engine,
too, as `..._in_our_engine`: ours over that row is what the network gives, that row over the same without our engine is
what the engine gives. It counts for no ratio over PyTorch. The networks must make the same of the same crops, dubs must
have as many frames, and boxes must agree. CUDA graphs, which belong to a thread, are left out.
"""

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from benchmarks import films, generator, sequential, side_by_side
from benchmarks.generator import Frames
from benchmarks.sequential import AS_LARGE, Generator
from benchmarks.side_by_side import OURS, Case, Comparison
from benchmarks.workers import Contender, Outputs, Side
from lpips_jax.core import cli
from lpips_jax.dubbing import selection
from lpips_jax.dubbing.engine import Dubber
from lpips_jax.dubbing.options import Options
from lpips_jax.dubbing.speech import Speech
from lpips_jax.faces import cropping
from lpips_jax.faces.detect import LONGEST_SIDE, Detect, make_detector
from lpips_jax.media.playback import play
from lpips_jax.media.speech import load_driving_speech
from lpips_jax.media.video_reader import count_frames, probe, read_frames

BATCH_SIZES = {'cpu': [8], 'gpu': [32, 128]}  # Wav2Lip's released code has 128
SECONDS = {'cpu': 4, 'gpu': 20}  # of film
IMAGE_SIZE = 96
IN_OUR_ENGINE = '_in_our_engine'
CHECKED_FACES = 4
COMPILE_MODES = {'cpu': ('default',), 'gpu': ('default', 'max-autotune-no-cudagraphs')}
BOXES_APART = 0.02  # mean distance of edges, in widths of the face, up to which two ways have found the same


@dataclasses.dataclass(frozen=True)
class Dub:
  """What is dubbed.

  Attributes:
    face, audio: the inputs.
    directory: gets the dubs.
    network: image size and batch size of the generator.
    kind, model: of the detector.
  """

  face: Path
  audio: Path
  directory: Path
  network: Frames
  kind: str
  model: Path | None

  def output(self, name: str) -> Path:
    return self.directory / f'{self.face.stem}-{name}.mp4'

  def detector(self, longest_side: int = LONGEST_SIDE) -> Detect:
    return make_detector(self.kind, self.model, longest_side)


def measure(directory: Path, kind: str, model: Path | None) -> dict[str, Any]:
  """Measures it all as the flags say, and returns the figures.

  Args:
    directory: gets films and dubs.
    kind: of the detector, with its file, `model`.

  Raises:
    UserError: the two ways do not look at the same face.
  """
  apart = {}
  if {'reduce-overhead', 'max-autotune'}.intersection(flags.FLAGS.compile_modes):
    cli.fail('CUDA graphs belong to a thread, and dubbing has several: give --compile_modes without them')

  def cases(platform: str) -> list[Case]:
    given, found = flags.FLAGS, []
    seconds = given.film_seconds or SECONDS[platform]
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
  """Returns how far the edges of rows' boxes lie from ours in the mean, in widths of the face, by `_looked_at`.

  Raises:
    UserError: they are not around the same faces.
  """
  info = probe(dub.face)
  located = selection.follow(itertools.islice(play(dub.face, info), count), dub.detector(), info, selection.One())
  ours = [boxes[0] if boxes else np.full(5, np.nan) for _, boxes in located]
  frames = list(itertools.islice(read_frames(dub.face), count))
  apart = {}
  for longest_side in sorted(set(map(_looked_at, rows))):
    theirs = sequential.find_boxes(frames, dub.detector(longest_side), info)
    distances = sequential.edges_apart(ours, theirs)
    if np.isnan(distances).all():
      cli.fail(f'{dub.face.name}: no face is found in it: give films of one face each')
    apart[longest_side] = float(np.nanmean(distances))
    if apart[longest_side] > BOXES_APART:
      cli.fail(f'{dub.face.name}: boxes are {apart[longest_side]:.1%} of a face from ours: not the same work')
  return apart


def _looked_at(row: str) -> int:
  """Pixels of the longer side to which frames are reduced before faces are looked for."""
  return AS_LARGE if row == 'released_recipe' else LONGEST_SIDE


def ours(dub: Dub) -> Side:
  """The engine with our network in it."""
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
  """The straightforward way around PyTorch's network, or our engine around it, by the name."""
  from benchmarks.torch_reference import recipes
  from benchmarks.torch_reference.inference import FaceGenerator, make_generate
  from benchmarks.torch_reference.networks import build
  from benchmarks.torch_reference.weights import load

  device = recipes.start()
  config = dub.network.config()
  contenders = {}
  for name in names:
    recipe = recipes.recipe(name.removesuffix(IN_OUR_ENGINE), device, compile_mode)
    generate = make_generate(load(build(config.model), variables), recipe)
    network = FaceGenerator(generate, recipe, config, dub.network.batch_size)
    output = dub.output(name)
    if name.endswith(IN_OUR_ENGINE):
      run = _engine(dub, _Dubber(network), output)
    else:
      find, count = dub.detector(_looked_at(name)), sequential.frames_to_dub(dub.face, dub.audio)
      run = partial(sequential.dub, dub.face, dub.audio, output, count, network, find)
    contenders[name] = recipe.contender(run, partial(_compared, dub, run, output, network))
  return recipes.side(device, contenders)


class _Dubber(Dubber):
  """Our engine with a generator of PyTorch's, without JAX in between."""

  def __init__(self, network: Generator) -> None:
    super().__init__('', network.batch_size, progress=False)
    self._network = network

  @property
  def generator(self) -> Generator:
    return self._network


def _engine(dub: Dub, dubber: Dubber, output: Path) -> Callable[[], None]:
  options = Options(detector=dub.kind, detector_model=dub.model, length='shortest')
  return partial(dubber.dub, dub.face, dub.audio, output, options)


def _compared(dub: Dub, run: Callable[[], Any], output: Path, network: Generator) -> Outputs:
  """What the network makes of the first frames, wherever the face is in them; RuntimeError if a dub has too few."""
  frames = list(itertools.islice(read_frames(dub.face), CHECKED_FACES))
  height, width, _ = frames[0].shape
  crops = [cropping.crop(frame, (width / 4, height / 4, 3 * width / 4, height), network.image_size) for frame in frames]
  speech = Speech(load_driving_speech(dub.audio)[1], False)
  windows = speech([k / probe(dub.face).rate for k in range(len(crops))], network.lead)
  images = sequential.generated(network, crops, windows)
  run()
  made, wanted = count_frames(output), sequential.frames_to_dub(dub.face, dub.audio)
  if made != wanted:
    raise RuntimeError(f'the dub has {made} frames, not {wanted}')
  return {'images': images}


def _repeat(run: Callable[[], None], repeats: int) -> None:
  for _ in range(repeats):
    run()
