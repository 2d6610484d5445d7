"""Dubbing: speed beside PyTorch and beside the straightforward way, start-up, memory, and overlap of stages.

  python -m benchmarks.speed.dub --output=dub.json                     # all parts; --parts=overlap for one
  python -m benchmarks.speed.dub --parts=torch --rows=released_recipe,compiled_float32 --rounds=3
  python -m benchmarks.speed.dub --parts=sequential --faces=a.mp4,b.mp4 --audio=speech.wav

The generator has the paper's size and random weights. The parts:

  torch: prints a table, and gives `ratio` and `ratios`: ours over PyTorch, end to end (`dub_beside_torch`).
  start: seconds of infer.py for a second of film, imports and model included: the first time, when everything is
    compiled, and later.
  memory: peak memory of infer.py on films of 1080p25, a short one repeated; clicks and flashes in the output measure
    how well sound and picture stay in sync.
  overlap: each stage alone at 720p, from memory and into nothing, and then all of them together.
  sequential: our engine beside the straightforward way (`sequential`), both with our generator.
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import flags
from tqdm import tqdm

from benchmarks import commands
from benchmarks.commands import ROOT
from benchmarks.speed import dub_beside_torch, films, sequential, side_by_side, workers
from benchmarks.speed.generator import Frames, make_network
from lpips_jax import pretrained
from lpips_jax.core import cli
from lpips_jax.dubbing import selection
from lpips_jax.dubbing.boxes import Located
from lpips_jax.dubbing.compositing import Batch, MouthGenerator, composite, generate
from lpips_jax.dubbing.engine import DEFAULT_BATCH_SIZE, Dubber
from lpips_jax.dubbing.options import Options
from lpips_jax.dubbing.speech import Speech
from lpips_jax.dubbing.stages import opencv_on_one_thread, profile_table
from lpips_jax.faces.detect import Detect, choose_detector, make_detector
from lpips_jax.media.playback import PlayedFrame, play
from lpips_jax.media.speech import load_driving_speech
from lpips_jax.media.video_reader import probe
from lpips_jax.media.video_writer import write_video

PARTS = 'torch', 'start', 'memory', 'overlap', 'sequential'
FILM_SECONDS = 20
LOOP_SECONDS = 20  # of the film that is repeated


Measure = Callable[[Path, pretrained.Pretrained, Callable[..., Detect]], dict[str, Any]]


def define_flags() -> None:
  side_by_side.define_flags()
  flags.DEFINE_multi_enum('parts', PARTS, PARTS, 'Parts to measure; torch needs PyTorch.')
  flags.DEFINE_list('minutes', ['1', '10'], 'memory: minutes of the films.')
  flags.DEFINE_integer('film_seconds', None, 'torch, overlap, sequential: seconds to dub of each film.', lower_bound=2)
  flags.DEFINE_list('faces', [], 'torch, sequential: films of one face each; by default procedural ones.')
  flags.DEFINE_string('audio', None, 'torch, sequential: speech; by default procedural.')
  flags.DEFINE_string('detector', 'auto', 'yunet, cascade, or auto: the first that is available.')
  flags.DEFINE_string('detector_model', None, "YuNet's file; by default LIPSYNC_YUNET or a download.")
  commands.register_numbers('minutes')
  flags.DEFINE_string('directory', None, 'Directory that keeps films and dubs; by default they are deleted.')


def main() -> None:
  given = flags.FLAGS
  commands.require_directory_of(given.output)
  workers.prepare_environment(given.device)
  kind, model = choose_detector(given.detector, given.detector_model)
  figures: dict[str, Any] = {}
  with tempfile.TemporaryDirectory() as temporary:
    directory = Path(given.directory or temporary).absolute()
    directory.mkdir(parents=True, exist_ok=True)
    if 'torch' in given.parts:  # first: its processes can share a device with each other, but not with this one
      figures |= dub_beside_torch.measure(directory, kind, model)
    others = {part: measure for part, measure in MEASURES.items() if part in given.parts}
    if others:
      figures |= _measure_others(others, directory, partial(make_detector, kind, model))
  figures |= {'cores': os.cpu_count(), 'detector': kind}
  if others:
    print(json.dumps({part: figures[part] for part in others}, indent=2))
  if 'torch' in given.parts:
    print('\n' + side_by_side.table(figures))
  commands.write_figures(given.output, figures)
  if 'torch' in given.parts:
    side_by_side.require_all(figures)


def _measure_others(parts: Mapping[str, Measure], directory: Path, detector: Callable[..., Detect]) -> dict[str, Any]:
  if flags.FLAGS.device == 'cpu':
    jax.config.update('jax_platforms', 'cpu')
  network = make_network(Frames(dub_beside_torch.IMAGE_SIZE, _batch_size(), flags.FLAGS.tiny))
  figures = {part: measure(directory, network, detector) for part, measure in parts.items()}
  return {'device': jax.devices()[0].device_kind} | figures


def _batch_size() -> int:
  return int(flags.FLAGS.batch_sizes[0]) if flags.FLAGS.batch_sizes else DEFAULT_BATCH_SIZE


def _memory(directory: Path, network: pretrained.Pretrained, detector: Callable[..., Detect]) -> dict[str, Any]:
  """Measures peak resident memory of infer.py by length of the film, and the distance of clicks from flashes."""
  checkpoint = _checkpoint(directory, network)
  loop = films.film(directory / 'loop.mp4', 1920, 1080, LOOP_SECONDS)
  figures: dict[str, Any] = {}
  for minutes in map(int, flags.FLAGS.minutes):
    face = films.repeated(directory / f'{minutes}.mp4', loop, minutes * 60 // LOOP_SECONDS)
    audio = films.speech(directory / f'{minutes}.wav', minutes * 60, LOOP_SECONDS)
    output = directory / f'{minutes}-dubbed.mp4'
    print(f'{minutes} minutes of 1080p25', flush=True)
    begun = time.perf_counter()
    seconds, peak = _run_infer(face, audio, output, checkpoint)
    clicks, flashes = films.clicks_and_flashes(output)
    apart = 1000 * np.abs(clicks - flashes)
    figures[f'{minutes}_minutes'] = {
      'peak_resident_mib': peak,
      'seconds': seconds,
      'frames': minutes * 60 * 25,
      'clicks': len(clicks),
      'apart_ms_first_last_most': [float(x) for x in (apart[0], apart[-1], apart.max())],
    }
    print(figures[f'{minutes}_minutes'], f'{time.perf_counter() - begun:.0f} s', flush=True)
  peaks = [entry['peak_resident_mib'] for entry in figures.values()]
  return figures | {'growth': peaks[-1] / peaks[0] - 1}


def _start(directory: Path, network: pretrained.Pretrained, detector: Callable[..., Detect]) -> dict[str, Any]:
  """Measures seconds of infer.py for a second of 720p; no program is compiled before the first time."""
  face = films.film(directory / 'second.mp4', 1280, 720, 1)
  audio = films.speech(directory / 'second.wav', 1, 1)
  checkpoint = _checkpoint(directory, network)
  with tempfile.TemporaryDirectory() as programs:
    environment = os.environ | {'JAX_COMPILATION_CACHE_DIR': programs}
    first, *others = [
      _run_infer(face, audio, directory / 'second-dubbed.mp4', checkpoint, environment)[0]
      for _ in range(1 + flags.FLAGS.rounds)
    ]
  return {'first_seconds': first, 'later_seconds': others}


def _checkpoint(directory: Path, network: pretrained.Pretrained) -> Path:
  checkpoint = directory / 'checkpoint'
  shutil.rmtree(checkpoint, ignore_errors=True)  # of an earlier run, perhaps of another network
  pretrained.save(checkpoint, network)
  return checkpoint


def _run_infer(
  face: Path, audio: Path, output: Path, checkpoint: Path, environment: dict[str, str] | None = None
) -> tuple[float, float]:
  """Runs infer.py to its end; returns its seconds and its peak resident memory in MiB."""
  given = flags.FLAGS
  line = [sys.executable, str(ROOT / 'infer.py'), f'--face={face}', f'--audio={audio}', f'--output={output}']
  line += [f'--checkpoint={checkpoint}', f'--batch_size={_batch_size()}', f'--detector={given.detector}']
  line += [f'--detector_model={given.detector_model}'] if given.detector_model else []
  status, seconds, peak = commands.wait_for(subprocess.Popen(line, cwd=ROOT, env=environment))
  if status:
    cli.fail(f'infer.py failed with status {status}')
  return seconds, peak


def _overlap(directory: Path, network: pretrained.Pretrained, detector: Callable[..., Detect]) -> dict[str, Any]:
  """Measures each stage alone, from memory and into nothing; then all together, as in infer.py."""
  given = flags.FLAGS
  seconds = given.film_seconds or FILM_SECONDS
  face = films.film(directory / '720p.mp4', 1280, 720, seconds)
  audio = films.speech(directory / '720p.wav', seconds, seconds)
  dubber = Dubber(network, _batch_size())
  options = Options(detector=given.detector, detector_model=given.detector_model)
  output = directory / '720p-dubbed.mp4'
  dubber.dub(face, audio, output, options)  # warms up: compiles everything, and brings the files into memory
  rounds: list[tuple[dict[str, tuple[float, float]], float, float]] = []  # stages alone, seconds and CPU together
  for _ in tqdm(range(given.rounds), 'rounds', disable=None):
    with opencv_on_one_thread():
      alone = _stages_alone(face, audio, output, dubber.generator, detector())
    begun = time.process_time()
    dubber.dub(face, audio, output, options)
    rounds.append((alone, dubber.seconds, time.process_time() - begun))
  print(profile_table(dubber.times, dubber.seconds))
  names = list(rounds[0][0])
  wall = {name: float(np.median([stages[name][0] for stages, _, _ in rounds])) for name in names}
  cpu = {name: float(np.median([stages[name][1] for stages, _, _ in rounds])) for name in names}
  together = float(np.median([seconds for _, seconds, _ in rounds]))
  cpu_together = float(np.median([seconds for _, _, seconds in rounds]))
  cores = os.cpu_count() or 1
  slowest, shared = max(wall.values()), sum(cpu.values()) / cores
  return {
    'seconds_alone': wall,
    'cpu_seconds_alone': cpu,
    'slowest_alone': slowest,
    'cpu_of_all_over_cores': shared,
    'cpu_together_over_cores': cpu_together / cores,
    'together': together,
    'one_after_another': sum(wall.values()),
    'together_over_floor': together / max(slowest, shared),
    'frames_per_second': dubber.frames / together,
  }


def _stages_alone(
  face: Path, audio: Path, output: Path, generator: MouthGenerator, find: Detect
) -> dict[str, tuple[float, float]]:
  """Seconds and CPU seconds of each stage by itself, for all frames."""
  info = probe(face)
  spent: dict[str, tuple[float, float]] = {}
  _, samples = load_driving_speech(audio)

  def timed(name: str, work: Callable[[], Any]) -> Any:
    begun, cpu = time.perf_counter(), time.process_time()
    result = work()
    spent[name] = time.perf_counter() - begun, time.process_time() - cpu
    return result

  frames = timed('decode', lambda: list(play(face, info)))
  located = timed('find', lambda: list(selection.follow(frames, find, info, selection.FollowOne())))
  speech = Speech(samples, False)
  batches = timed('generate', lambda: _finished(list(generate(_faces(located), [speech], generator))))
  dubbed = timed('composite', lambda: list(composite(batches)))

  def encode() -> None:
    with write_video(output, info, audio) as write:
      for shown in dubbed:
        write(shown.planes, shown.time)

  timed('encode', encode)
  return spent


def _finished(batches: list[Batch]) -> list[Batch]:
  """Waits for the images of all batches."""
  for batch in batches:
    for images in batch.generated:
      images.result()
  return batches


def _sequential(directory: Path, network: pretrained.Pretrained, detector: Callable[..., Detect]) -> dict[str, Any]:
  """Measures each film beside the straightforward way: find, crop and paste alone, and everything end to end."""
  given = flags.FLAGS
  seconds = given.film_seconds or FILM_SECONDS
  films_ = [Path(path) for path in given.faces] or [
    films.film(directory / f'{width}x{height}.mp4', width, height, seconds, speaker)
    for speaker, (width, height) in enumerate([(640, 480), (1280, 720), (1920, 1080)])
  ]
  audio = Path(given.audio) if given.audio else films.speech(directory / 'speech.wav', seconds, seconds)
  dubber = Dubber(network, _batch_size())
  output = directory / 'dubbed.mp4'
  options = Options(detector=given.detector, detector_model=given.detector_model, length='shortest')
  dubber.dub(films_[0], audio, output, options)  # warms up
  figures: dict[str, Any] = {}
  for face in tqdm(films_, 'films', disable=None):
    begun = time.perf_counter()
    dubber.dub(face, audio, output, options)
    ours = {'end_to_end': time.perf_counter() - begun}
    ours['faces'], our_boxes = _our_faces(face, audio, dubber.frames, dubber.generator, detector())
    their_detector = detector(sequential.FULL_SIZE)
    theirs, their_boxes = sequential.dub(face, audio, output, dubber.frames, dubber.generator, their_detector)
    distances = sequential.edges_apart(our_boxes, their_boxes)
    info = probe(face)
    figures[face.name] = {
      'size': f'{info.width} x {info.height}',
      'frames': dubber.frames,
      'ours_seconds': ours,
      'straightforward_seconds': theirs,
      'faces_ratio': theirs['faces'] / ours['faces'],
      'end_to_end_ratio': theirs['end_to_end'] / ours['end_to_end'],
      'edges_apart_in_face_widths_mean_95th_most': [
        float(x) for x in (np.nanmean(distances), np.nanpercentile(distances, 95), np.nanmax(distances))
      ],
    }
    print(face.name, json.dumps(figures[face.name]), flush=True)
  total = {
    kind: sum(entry['straightforward_seconds'][kind] for entry in figures.values())
    / sum(entry['ours_seconds'][kind] for entry in figures.values())
    for kind in ('faces', 'end_to_end')
  }
  return figures | {'ratio': total['end_to_end'], 'faces_ratio': total['faces']}


def _our_faces(
  face: Path, audio: Path, count: int, generator: MouthGenerator, find: Detect
) -> tuple[float, np.ndarray]:
  """Seconds to find, crop and paste the faces of decoded frames, with a generator that takes no time; and the boxes."""
  info = probe(face)
  speech = Speech(load_driving_speech(audio)[1], False)
  echo = _Echo(generator)
  frames = list(itertools.islice(play(face, info), count))
  boxes = []

  def recorded(
    located: Iterable[tuple[PlayedFrame, list[np.ndarray]]],
  ) -> Iterator[tuple[PlayedFrame, list[np.ndarray]]]:
    for shown, found in located:
      boxes.append(found[0] if found else np.full(5, np.nan))
      yield shown, found

  begun = time.perf_counter()
  for _ in composite(
    generate(_faces(recorded(selection.follow(frames, find, info, selection.FollowOne()))), [speech], echo)
  ):
    pass
  return time.perf_counter() - begun, np.array(boxes)


def _faces(
  located: Iterable[tuple[PlayedFrame, list[np.ndarray]]],
) -> Iterator[tuple[PlayedFrame, list[Located]]]:
  for shown, boxes in located:
    yield shown, [Located(box) for box in boxes]


class _Echo:
  """Replaces a generator: returns the crops unchanged, at once."""

  def __init__(self, like: MouthGenerator) -> None:
    self.batch_size, self.part_size, self.image_size = like.batch_size, like.part_size, like.image_size
    self.lead = like.lead

  def __call__(
    self, crops: Sequence[np.ndarray], references: Sequence[np.ndarray], windows: np.ndarray
  ) -> Future[np.ndarray]:
    images: Future[np.ndarray] = Future()
    images.set_result(np.stack(crops))
    return images


MEASURES: dict[str, Measure] = {'start': _start, 'memory': _memory, 'overlap': _overlap, 'sequential': _sequential}


if __name__ == '__main__':
  define_flags()
  cli.run(main)
