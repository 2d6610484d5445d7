"""Equality of training on one device, on eight devices of one process, and on two processes of four.

  python -m benchmarks.quality.devices --output=devices.json

Runs the real input pipeline, step and optimiser on CPU devices, with networks of a few channels; processes
communicate through gloo. For each network that is trained, the generator with an adversary and with each of its
options, each layout is compared with one device: the gradients of the first step, including the discriminator's, in
float32 and in float64 (norm of the difference over norm, whole tree), and the losses of all steps in float64 (greatest
relative difference). Lip readers compute their log-odds in float32 all the same. Takes some five minutes a task, most
of them to compile.
"""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from absl import flags
from ml_collections import ConfigDict

from benchmarks import commands
from benchmarks.tiny import TINY_OVERRIDES
from lpips_jax.core import cli

if TYPE_CHECKING:  # each process sets its platform before JAX starts
  from lpips_jax.training.state import TrainState

Tree = TypeVar('Tree')

TASKS = tuple(TINY_OVERRIDES)
Differences = dict[str, float | str]

LAYOUTS = {'8 devices': (1, 8), '2 processes x 4 devices': (2, 4)}


@dataclasses.dataclass(frozen=True)
class Trained:
  """The training that every layout runs.

  Attributes:
    data_dir: directory of the TFDS datasets.
    steps: number of steps by dtype of the networks.
    tasks: out of `TASKS`.
  """

  data_dir: str
  steps: dict[str, int]
  tasks: Sequence[str] = TASKS


def define_flags() -> None:
  flags.DEFINE_integer('steps', 20, 'Number of steps to compare.', lower_bound=1)
  flags.DEFINE_list('tasks', list(TASKS), 'What to train: configs of quickstart.py.')
  flags.DEFINE_string('data_dir', 'runs/data', 'Directory of the TFDS datasets.')
  flags.DEFINE_string('output', None, 'JSON file for the figures.')
  flags.DEFINE_string('one_of', None, 'Internal: makes this process one of a layout, described as JSON.')


def main() -> None:
  given = flags.FLAGS
  if given.one_of:
    one_of = json.loads(given.one_of)
    train_as(trained=Trained(**one_of.pop('trained')), **one_of)
    return
  figures = compare(Trained(given.data_dir, {'float32': 1, 'float64': given.steps}, given.tasks))
  print(f'{"":24}{"task":14}{"gradient, float32":>20}{"gradient, float64":>20}{"losses, float64":>20}  most of them')
  for layout, tasks in figures.items():
    for task, found in tasks.items():
      cells = ''.join(f'{found[name]:20.1e}' for name in ('float32', 'float64', 'losses'))
      print(f'{layout:24}{task:14}{cells}  {found["most"]}')
  commands.write_figures(given.output, figures)


def compare(trained: Trained) -> dict[str, dict[str, Differences]]:
  """Trains in all layouts.

  Returns:
    layout -> task -> differences from one device: of the first step's gradient under the name of each dtype, of the
    metrics of all steps in float64 under `losses`, and in `most` the name of the metric that differs most.
  """
  with tempfile.TemporaryDirectory() as directory:
    alone = _results(Path(directory) / 'alone', 1, 1, trained)
    figures = {}
    for i, (layout, (processes, devices)) in enumerate(LAYOUTS.items()):
      together = _results(Path(directory) / str(i), processes, devices, trained)
      figures[layout] = {task: _difference(alone, together, task, trained.steps) for task in trained.tasks}
  return figures


def _results(directory: Path, processes: int, devices: int, trained: Trained) -> dict[str, np.ndarray]:
  directory.mkdir()
  port = commands.free_port()
  environment = os.environ | {'JAX_PLATFORMS': 'cpu', 'JAX_NUM_CPU_DEVICES': str(devices)}
  layout = {'directory': str(directory), 'processes': processes, 'port': port, 'trained': dataclasses.asdict(trained)}
  running = []
  for process in range(processes):
    command = [
      sys.executable,
      '-m',
      'benchmarks.quality.devices',
      f'--one_of={json.dumps(layout | {"process": process})}',
    ]
    running.append(subprocess.Popen(command, env=environment, cwd=commands.ROOT))
  statuses = [process.wait() for process in running]
  if any(statuses):
    cli.fail('a process ended with the error above')
  return dict(np.load(directory / 'results.npz'))


def _difference(
  alone: dict[str, np.ndarray], together: dict[str, np.ndarray], task: str, dtypes: Iterable[str]
) -> Differences:
  figures: Differences = {}
  for dtype in dtypes:
    a, b = (results[f'{task} gradient {dtype}'] for results in (alone, together))
    figures[dtype] = float(np.linalg.norm(a - b) / np.linalg.norm(a))
  a, b = (results[f'{task} losses float64'] for results in (alone, together))
  by_metric = (np.abs(a - b) / np.maximum(np.abs(a), 1e-9)).max(0)  # a share may be 0
  return figures | {'losses': float(by_metric.max()), 'most': str(alone[f'{task} names'][by_metric.argmax()])}


def train_as(directory: str, processes: int, process: int, port: int, trained: Trained) -> None:
  """Trains each task as one process of several; process 0 writes results.npz into `directory`."""
  import jax

  from lpips_jax.training import multihost

  jax.config.update('jax_enable_x64', True)
  if processes > 1:
    multihost.join(f'localhost:{port}', processes, process)
  results: dict[str, np.ndarray] = {}
  for task in trained.tasks:
    for dtype, steps in trained.steps.items():
      gradient, metrics = _train(_config(task, dtype, trained.data_dir), steps)
      results |= {f'{task} gradient {dtype}': gradient, f'{task} losses {dtype}': np.stack([*metrics.values()], -1)}
    results[f'{task} names'] = np.array([*metrics])
  if process == 0:
    np.savez(Path(directory) / 'results.npz', allow_pickle=False, **results)


def _train(config: ConfigDict, steps: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
  """Returns the gradient of the first step as a vector, and each metric of all steps, (steps,)."""
  import jax

  from benchmarks.random_weights import frozen_networks
  from data_pipeline import input as data
  from lpips_jax.training import generator_losses, multihost, sharding, step_program
  from lpips_jax.training.tasks import make_task

  needed: set[str] = set()
  if config.task == 'generator':
    needed = generator_losses.networks_needed(config.losses) - {generator_losses.LPIPS}
  dtype, data_dir = config.model.dtype, config.data.data_dir
  frozen = frozen_networks(config, **{name: _config(name, dtype, data_dir).model for name in sorted(needed)})
  task = make_task(config, frozen)
  with multihost.first_process_first():
    batches = data.train_batches(config, jax.process_index(), jax.process_count())
  mesh = sharding.make_mesh(step_program.clips_of_batch(config))
  state = task.init()
  opened = jax.tree.map(lambda _: state.step + 0, state.opened)  # every loss counts from the start; no array is shared
  state = dataclasses.replace(state, opened=opened)
  state = sharding.put_replicated(_cast(state, config.model.dtype), mesh)
  frozen_variables = sharding.put_replicated(_cast(frozen.variables, config.model.dtype), mesh)
  step, _ = sharding.jitted(task, mesh)
  gradient, curves = np.empty(0), []
  for number in range(steps):
    batch = next(batches)
    del batch['id'], batch['skipped']
    state, metrics = step(state, sharding.put_batch(batch, mesh), frozen_variables)
    curves.append({name: float(value) for name, value in metrics.items() if name != 'learning_rate'})
    if number == 0:
      gradient = _first_gradient(state)
  return gradient, {name: np.array([step[name] for step in curves]) for name in curves[0]}


def _first_gradient(state: 'TrainState') -> np.ndarray:
  """Adam's first moments after one step: the gradients, all with the same factor."""
  import jax
  import optax

  def moments(optimizer: optax.OptState) -> list[np.ndarray]:
    found = jax.tree.leaves(optimizer, is_leaf=lambda x: isinstance(x, optax.ScaleByAdamState))
    return [np.ravel(x.mu) for x in found if isinstance(x, optax.ScaleByAdamState)]

  both = moments(state.optimizer) + (moments(state.adversary.optimizer) if state.adversary else [])
  return np.concatenate(both)


def _cast(tree: Tree, dtype: str) -> Tree:
  """The tree with its floating-point leaves in that dtype."""
  import jax
  import jax.numpy as jnp

  return jax.tree.map(lambda x: x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x, tree)


def _config(task: str, dtype: str, data_dir: str) -> ConfigDict:
  """The quickstart config with a few channels, and a batch that eight devices divide; of clips two windows each."""
  from configs import quickstart

  config = quickstart.get_config(task)
  config.update_from_flattened_dict(TINY_OVERRIDES[task])
  config.data.update(data_dir=data_dir, batch_size=8)
  config.model.dtype = dtype
  if task in ('reading', 'av_sync'):
    config.data.update(windows=2, batch_size=16)
  if task == 'generator':
    config.losses.update(adversarial=0.07, r1=1.0)
  if task == 'lip_reader':
    config.model.dropout = 0.0  # what is dropped depends on the place in the batch, and that on the processes
  return config


if __name__ == '__main__':
  define_flags()
  cli.run(main)
