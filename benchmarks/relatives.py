"""The paper's relatives under one roof: each trained alike on the embedded corpus, and scored on new speakers.

  python -m benchmarks.relatives --workdir=runs/relatives --output=relatives.json --picture=relatives.png

Trains a sync expert, two lip readers and two audio-visual experts, of two seeds each: one teaches, the other judges.
Then trains every relative at the demo's size from the same seeds for as many steps, and scores it on clips of unseen
speakers. Prints a Markdown table of means and standard deviations over the seeds, and then, measured side by side, how
long a step and a frame take. The same command resumes interrupted runs.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from absl import flags
from tqdm import tqdm

from benchmarks import commands
from lpips_jax.core import cli

RELATIVES = {  # variants of configs/quickstart.py, with their names in the table
  'generator': 'LPIPS-AttnWav2Lip',
  'reading': 'TalkLip: a reading loss',
  'global_speech': 'TalkLip: a second of speech at once',
  'av_sync': 'AV-HuBERT: an audio-visual sync loss',
  'memory': 'SyncTalkFace: an audio-lip memory',
  'visemes': 'Text2Lip: driven by visemes',
}
TEACHER, JUDGE = 0, 1  # seeds of lip readers and audio-visual experts
TEACHERS = {'reading': 'lip_reader', 'av_sync': 'av_expert'}
COLUMNS = {  # of the table: measure and system of evaluate.py
  'PSNR, dB ↑': ('lower_half_psnr', ''),
  'mouth, own speech ↑': ('mouth_correlation', ''),
  "mouth, another's ↑": ('mouth_correlation', 'cross_audio'),
  'leak in silence ↓': ('leak', 'silent'),
  'viseme error ↓': ('viseme_error', ''),
  "viseme error, another's ↓": ('viseme_error', 'cross_audio'),
  'AVS_u ↑': ('avs_u', ''),
  'AVS_m ↑': ('avs_m', ''),
  'AVS_v ↑': ('avs_v', ''),
}
CONTROLS = {  # rows that are the same in every run, by the system that stands for either kind of column
  'speech of somebody else': {'': 'other_audio'},
  'reference copied': {'': 'copy_reference'},
  'truth': {'': 'target', 'cross_audio': 'oracle'},
}
FRAMES, ROUNDS, TURN = 10, 7, 5  # of the comparison of times: frames of a call, rounds, calls of a turn

Metrics = dict[str, Any]


class Times(NamedTuple):
  """Milliseconds of a training step and of a generated frame: medians over the rounds."""

  step: float
  frame: float


def define_flags() -> None:
  flags.DEFINE_list('relatives', list(RELATIVES), f'Of {", ".join(RELATIVES)}.')
  flags.DEFINE_integer('seeds', 3, 'Number of runs of each.', lower_bound=1)
  flags.DEFINE_integer('steps', 1_750, 'Training steps of a run.', lower_bound=1)
  flags.DEFINE_integer('clips', 32, 'Number of clips to score.', lower_bound=2)
  flags.DEFINE_string('workdir', 'runs/relatives', 'Directory of the runs, of their teachers and of the corpus.')
  flags.DEFINE_string('output', None, 'JSON file for all figures.')
  flags.DEFINE_string('picture', None, 'PNG file: a sentence by each of them.')
  commands.register_choices('relatives', list(RELATIVES))


def main() -> None:
  given = flags.FLAGS
  commands.require_directory_of(given.output)
  commands.require_directory_of(given.picture)
  workdir, chosen = Path(given.workdir), list(dict.fromkeys(given.relatives))
  networks = [('sync_expert', TEACHER), *((name, seed) for name in TEACHERS.values() for seed in (TEACHER, JUDGE))]
  for name, seed in tqdm(networks, 'experts and readers', unit='run', disable=None):
    commands.train(f'quickstart.py:{name}', workdir / f'{name}_{seed}', workdir / 'data', {'seed': seed})
  runs = [(name, seed) for seed in range(given.seeds) for name in chosen]
  scores: dict[str, list[Metrics]] = {name: [] for name in chosen}
  for name, seed in tqdm(runs, 'trained and scored', unit='run', disable=None):
    scores[name].append(measure(name, seed, workdir, given.steps, given.clips))
  times = side_by_side([workdir / f'{name}_{TEACHER}' for name in chosen], workdir / 'data')
  print(table(scores, times))
  if given.picture:
    draw(Path(given.picture), {name: workdir / f'{name}_{TEACHER}' for name in chosen}, workdir / 'data')
  commands.write_figures(
    given.output, {'scores': scores, 'times': {name: time._asdict() for name, time in zip(scores, times, strict=True)}}
  )


def measure(name: str, seed: int, workdir: Path, steps: int, clips: int) -> Metrics:
  """Trains and scores one run, or resumes it; returns the metrics of evaluate.py."""
  run = workdir / f'{name}_{seed}'
  overrides: dict[str, object] = {'seed': seed, 'steps': steps, 'eval_every': max(steps // 3, 1)}
  overrides |= {'checkpoint_every': overrides['eval_every'], 'sync_expert': workdir / f'sync_expert_{TEACHER}'}
  if teacher := TEACHERS.get(name):
    overrides[teacher] = workdir / f'{teacher}_{TEACHER}'
  commands.train(f'quickstart.py:{name}', run, workdir / 'data', overrides)
  judges = [f'--{kind}={workdir / f"{kind}_{JUDGE}"}' for kind in TEACHERS.values()]
  return commands.score(run, workdir / 'data', clips, *judges)


def table(scores: Mapping[str, Sequence[Metrics]], times: Sequence[Times] = ()) -> str:
  """Returns the Markdown table: mean ± standard deviation over the seeds, then the controls."""
  head = [*COLUMNS, *(['ms a step', 'ms a frame'] if times else [])]
  lines = ['| | ' + ' | '.join(head) + ' |', '|---' + '|---:' * len(head) + '|']
  for k, (name, runs) in enumerate(scores.items()):
    cells = [commands.mean_and_deviation([run.get(_key(*column)) for run in runs]) for column in COLUMNS.values()]
    cells += [f'{value:.1f}' for value in times[k]] if times else []
    lines.append(f'| {RELATIVES[name]} | ' + ' | '.join(cells) + ' |')
  first = next(iter(scores.values()))[0]
  for title, systems in CONTROLS.items():
    cells = [
      commands.mean_and_deviation([first.get(_key(measure, systems[system]))] if system in systems else [None])
      for measure, system in COLUMNS.values()
    ]
    lines.append(f'| {title} | ' + ' | '.join(cells + [''] * (len(head) - len(cells))) + ' |')
  return '\n'.join(lines)


def side_by_side(runs: Sequence[Path], data_dir: Path) -> list[Times]:
  """Measures how long steps and frames take, in turns: other work of the machine then hits all of them alike."""
  contenders = [_contender(run, data_dir) for run in runs]
  spent: list[tuple[list[float], list[float]]] = [([], []) for _ in runs]
  for _ in tqdm(range(ROUNDS), 'times, side by side', unit='round', disable=None):
    for contender, of_each in zip(contenders, spent, strict=True):
      for call, found in zip(contender, of_each, strict=True):
        found.append(_milliseconds(call))
  return [Times(statistics.median(steps), statistics.median(frames) / FRAMES) for steps, frames in spent]


def draw(path: Path, runs: Mapping[str, Path], data_dir: Path) -> None:
  """Draws a sentence, frame by frame, as it was filmed and as each network makes it, one row each."""
  from data_pipeline import corpora
  from data_pipeline.input import decode_clip
  from lpips_jax import pretrained
  from lpips_jax.evaluation.references import references_of
  from lpips_jax.evaluation.systems import generator_dub
  from lpips_jax.media import pictures

  source = corpora.fresh_test_source('talking_faces/quickstart', commands.HELD_OUT_SEED, str(data_dir))
  networks = [pretrained.load(run) for run in runs.values()]
  clip = decode_clip(source[0], networks[0].config.model.image_size)
  shown = slice(10, 65, 5)
  rows = [clip.frames[shown]]
  for network in networks:
    dub = generator_dub(clip, references_of(network.config.data, clip.frames), network)
    rows.append(pictures.to_uint8(dub(clip)[shown]))
  pictures.write_png(path, pictures.grid(rows))


def _contender(run: Path, data_dir: Path) -> tuple[Callable[[], Any], Callable[[], Any]]:
  """Returns functions that make a training step of a run and generate `FRAMES` frames, compiled, and wait for it."""
  import jax

  from data_pipeline import input as data
  from lpips_jax import models, pretrained
  from lpips_jax.training.frozen import load_frozen
  from lpips_jax.training.tasks import make_task

  network = pretrained.load_weights(run)
  config = network.config
  config.data.data_dir = str(data_dir)
  frozen = load_frozen(config, pretrained.find(run))
  task = make_task(config, frozen)
  batches = data.train_batches(config)
  batch = {name: array for name, array in next(batches).items() if name not in ('id', 'skipped')}
  batches.close()
  step, state = jax.jit(task.step), task.init()
  rng = np.random.default_rng(0)
  inputs = [rng.random((FRAMES, *shape.shape[1:]), np.float32) for shape in models.example_inputs(config.model)]

  def make_step() -> Any:
    return jax.block_until_ready(step(state, batch, frozen.variables))

  def make_frames() -> Any:
    return jax.block_until_ready(network(*inputs))

  for compiled_by_now in (make_step, make_frames):
    compiled_by_now()
  return make_step, make_frames


def _milliseconds(call: Callable[[], Any]) -> float:
  begun = time.perf_counter()
  for _ in range(TURN):
    call()
  return 1e3 * (time.perf_counter() - begun) / TURN


def _key(measure: str, system: str) -> str:
  """The key of a measure in metrics.json; '' is the system that has no suffix there."""
  return f'{measure}_{system}' if system else measure


if __name__ == '__main__':
  define_flags()
  cli.run(main)
