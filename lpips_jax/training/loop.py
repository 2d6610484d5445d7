"""The training loop, read top to bottom: network, state, resume, then step, log, evaluate, save."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from lpips_jax.cli import UserError
from lpips_jax.training import checkpoints, sharding
from lpips_jax.training.logs import RunLog
from lpips_jax.training.state import TrainState, init_variables
from lpips_jax.training.tasks import Task, check_config, make_task, sample_rows

OpenData = Callable[[ConfigDict], tuple[Iterator[dict], list[dict]]]


def train(config: ConfigDict, workdir: Path, open_data: OpenData) -> TrainState:
  """Trains for `config.steps` steps, resuming what `workdir` holds, and returns the final state.

  Args:
    config: see configs/lrs2.py.
    workdir: gets `checkpoint/`, `metrics.jsonl`, `tensorboard/` and, of a generator, `samples/`.
    open_data: returns this process's share of endless training batches, whose state is saved with the network's, and
      the few batches of each evaluation. Called once the network has all it needs, as preparing a corpus takes long.

  Raises:
    UserError: the config asks for what is not there, or differs from that of the run in `workdir`.
    FloatingPointError: the loss is not finite; the last checkpoint is from before.
  """
  # ---- network and state
  check_config(config)
  workdir.mkdir(parents=True, exist_ok=True)
  with checkpoints.open_run(workdir / 'checkpoint', config) as checkpointer:
    task = make_task(config, workdir / 'checkpoint')
    batches, eval_batches = open_data(config)
    mesh = sharding.make_mesh(config.data.batch_size)
    state = sharding.put_replicated(_initial_state(task, config), mesh)
    frozen = sharding.put_replicated(task.frozen, mesh)

    # ---- resume
    state = checkpoints.resume(checkpointer, state, batches)
    done = int(state.step)
    if done:
      print(
        f'{workdir} is at step {done} of {config.steps}: ' + ('going on' if done < config.steps else 'nothing to do')
      )

    # ---- one program over all devices
    copies, shares = sharding.replicated(mesh), sharding.along_batch(mesh)
    step = jax.jit(task.step, in_shardings=(copies, shares, copies), out_shardings=(copies, copies), donate_argnums=0)
    evaluate = jax.jit(task.evaluate, in_shardings=(copies, shares, copies), out_shardings=copies)
    eval_batches = [sharding.put_batch(batch, mesh) for batch in eval_batches]

    # ---- the loop
    damaged = 0  # records that the data left out since this process began
    with RunLog(workdir, config.steps, done, config.task) as log:
      for n in range(done + 1, config.steps + 1):
        batch = next(batches)
        damaged += int(batch.pop('skipped').sum())
        state, metrics = step(state, sharding.put_batch(batch, mesh), frozen)
        log.advance()
        if n % config.log_every == 0 or n == config.steps:
          log.scalars(n, 'train', _finite(metrics, n) | ({'damaged_records': damaged} if damaged else {}))
        # Evaluated on this state, then saved with what the evaluation opened, and only then the next batch is drawn:
        # a resumed run finds everything as it was.
        if n % config.eval_every == 0 or n == config.steps:
          state = _evaluated(state, n, evaluate, eval_batches, frozen, config, log)
        if n % config.checkpoint_every == 0 or n == config.steps:
          _finite(metrics, n)
          checkpoints.save(checkpointer, state, batches)
  return state


def _initial_state(task: Task, config: ConfigDict) -> TrainState:
  variables = init_variables(task.model, config.model, config.seed)
  return TrainState.create(_grafted(variables, task.warm_start), task.optimizer)


def _grafted(tree: dict[str, Any], graft: dict[str, Any]) -> dict[str, Any]:
  """Replaces the leaves of `tree` that `graft` has; shapes must agree."""
  for name, value in graft.items():
    if name not in tree:
      raise UserError(f'the expert has {name}, the generator not: give both the same audio_residuals')
    if isinstance(value, dict):
      tree = tree | {name: _grafted(tree[name], value)}
    elif tree[name].shape != value.shape:
      raise UserError(f'{name}: expert {value.shape}, generator {tree[name].shape}: give both the same audio_widths')
    else:
      tree = tree | {name: jnp.copy(value)}  # the state is donated, the expert's own arrays are not
  return tree


def _finite(metrics: dict[str, jax.Array], step: int) -> dict[str, float]:
  """Brings metrics to the host; raises FloatingPointError unless all are finite."""
  values = {name: float(value) for name, value in jax.device_get(metrics).items()}
  wrong = [name for name, value in values.items() if not math.isfinite(value)]
  if wrong:
    raise FloatingPointError(f'{", ".join(wrong)} not finite at step {step}: lower config.optimizer.learning_rate')
  return values


def _evaluated(
  state: TrainState, n: int, evaluate: Any, batches: list[dict], frozen: Any, config: ConfigDict, log: RunLog
) -> TrainState:
  """Logs the metrics of the moving average, and opens the sync loss once the generator earns it."""
  results = [evaluate(state.average, batch, frozen) for batch in batches]
  means = {name: float(np.mean([metrics[name] for metrics, _ in results])) for name in results[0][0]}
  log.scalars(n, 'eval', means)
  if config.task == 'generator':
    log.samples(n, sample_rows(jax.device_get(batches[0]), jax.device_get(results[0][1])))
    if means['sync'] < config.losses.sync_gate:
      state = state.replace(sync_open=jnp.ones_like(state.sync_open))
  return state
