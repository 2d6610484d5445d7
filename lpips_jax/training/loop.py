"""The training loop, read top to bottom: network, state, resume, then step, log, evaluate, save."""

import json
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from lpips_jax.conventions import WINDOW_FRAMES
from lpips_jax.evaluation import Clip
from lpips_jax.files import write_whole
from lpips_jax.training import checkpoints, hardware, hosts, sharding
from lpips_jax.training.logs import Pace, RunLog
from lpips_jax.training.state import TrainState
from lpips_jax.training.tasks import Frozen, check_config, load_frozen, make_task
from lpips_jax.training.viewing import make_view

LAG = 2  # steps after which a step's metrics are read: the device is then busy with the next, and never waits


@dataclass(frozen=True)
class TrainData:
  """What to train on.

  Attributes:
    batches: this process's share of endless training batches, whose state is saved with the network's. Beside what the
      step takes each holds `id`, the clips that it was made of, and `skipped`, how many damaged records were left out.
    eval_batches: this process's share of the few batches of each evaluation.
    clips: whole clips to look at: of an expert, of those it is trained on; of a generator, one of the evaluation's.
  """

  batches: Iterator[dict[str, np.ndarray]]
  eval_batches: list[dict[str, np.ndarray]]
  clips: Sequence[Clip]


def train(config: ConfigDict, workdir: Path, open_data: Callable[[ConfigDict], TrainData]) -> TrainState:
  """Trains for `config.steps` steps, resuming what `workdir` holds, and returns the final state.

  SIGTERM ends it early: the state is saved, and returned.

  Args:
    config: see configs/lrs2.py.
    workdir: gets `checkpoint/`, `metrics.jsonl`, `tensorboard/` and `samples/` or, of an expert, `diagnosis/`.
    open_data: called once the network has all it needs, as preparing a corpus takes long.

  Raises:
    UserError: the config asks for what is not there, or differs from that of the run in `workdir`; or a checkpoint
      cannot be written.
    FloatingPointError: a loss is not finite. A file in `workdir` names the clips of the batch; nothing of it is saved.
  """
  # ---- network and data
  check_config(config)
  workdir.mkdir(parents=True, exist_ok=True)
  with hosts.preemption() as told_to_stop, checkpoints.open_run(workdir / 'checkpoint', config) as checkpointer:
    frozen = load_frozen(config, workdir / 'checkpoint')
    task = make_task(config, frozen)
    data = open_data(config)

    # ---- state, new or resumed
    mesh = sharding.make_mesh(config.data.batch_size // config.accumulate)
    state = sharding.put_replicated(task.init(), mesh)
    weights = sharding.put_replicated(frozen.weights, mesh)
    state = checkpoints.resume(checkpointer, state, data.batches)
    done = int(state.step)
    first_process = jax.process_index() == 0
    if done and first_process:
      print(f'{workdir} is at step {done} of {config.steps}: {"going on" if done < config.steps else "nothing to do"}')

    # ---- one program over all devices
    step, evaluate = sharding.jitted(task, mesh)
    eval_batches = [sharding.put_batch(batch, mesh) for batch in data.eval_batches]
    pace = _pace(config, frozen, mesh, state, weights, eval_batches[0])
    view = make_view(config)

    # ---- the loop
    saved, pending, damaged = done, deque(), 0
    with RunLog(workdir, config.steps, done, config.task) if first_process else nullcontext() as log:
      for n in range(done + 1, config.steps + 1):
        if told_to_stop(n):
          break
        batch = next(data.batches)
        ids, damaged = batch.pop('id'), damaged + int(batch.pop('skipped').sum())
        state, metrics = step(state, sharding.put_batch(batch, mesh), weights)
        pending.append(Made(n, metrics, ids, damaged))
        _read(pending, LAG, config, workdir, pace, log)

        # Evaluated on this state, then saved with what the evaluation opened, and only then the next batch is drawn:
        # a resumed run finds everything as it was.
        evaluated = None
        last = n == config.steps
        if last or n % config.eval_every == 0 or n % config.checkpoint_every == 0:
          _read(pending, 0, config, workdir, pace, log)
          paused = pace.pause()
          if last or n % config.eval_every == 0:
            evaluated, pictures = _evaluated(evaluate, state.average, eval_batches, weights)
            if config.task == 'generator' and evaluated['sync'] < config.losses.sync_gate:
              state = state.with_sync_opened()
            if log:
              seen = view(log, n, state.average, pictures, data.clips)
              log.evaluation(n, evaluated | seen)
          if last or n % config.checkpoint_every == 0:
            checkpoints.save(checkpointer, n, state, data.batches, evaluated)
            saved = n
          pace.go_on(paused)

      # ---- the end, or an early one
      _read(pending, 0, config, workdir, pace, log)
      if int(state.step) > saved:
        checkpoints.save(checkpointer, int(state.step), state, data.batches, None)
      checkpoints.finish(checkpointer)
      if log and int(state.step) < config.steps:
        log.say(f'stopped by SIGTERM and saved at step {int(state.step)}: the same command goes on from there')
  return state


class Made(NamedTuple):
  """A step that was made, perhaps not yet by the device."""

  step: int
  metrics: dict[str, jax.Array]
  ids: np.ndarray  # of the clips in this process's share of the batch
  damaged: int  # records that the data left out since this process began


def _read(pending: deque, keep: int, config: ConfigDict, workdir: Path, pace: Pace, log: RunLog | None) -> None:
  """Reads the metrics of all steps made but the last `keep`, and logs those that are to be logged.

  Raises:
    FloatingPointError: one of them is not finite.
  """
  while len(pending) > keep:
    made = pending.popleft()
    values = {name: float(value) for name, value in jax.device_get(made.metrics).items()}
    _require_finite(made, values, workdir)
    if log:
      log.advance()
      if made.step % config.log_every == 0 or made.step == config.steps:
        damaged = {'damaged_records': made.damaged} if made.damaged else {}
        log.train(made.step, values | pace.rates(made.step) | damaged)


def _require_finite(made: Made, values: dict[str, float], workdir: Path) -> None:
  """Raises FloatingPointError unless all metrics are finite; leaves a file that says which clips the batch was made of.

  The state of this step was not saved: whoever saves reads all metrics first.
  """
  wrong = [name for name, value in values.items() if not math.isfinite(value)]
  if not wrong:
    return
  process = f'_process{jax.process_index()}' if jax.process_count() > 1 else ''
  path = workdir / f'not_finite_{made.step}{process}.json'
  ids = [name.decode() for name in np.unique(made.ids)]
  values = {name: value if math.isfinite(value) else str(value) for name, value in values.items()}
  write_whole(path, json.dumps({'step': made.step, 'metrics': values, 'clips': ids}, indent=2) + '\n')
  raise FloatingPointError(
    f'{", ".join(wrong)} not finite at step {made.step}, nothing of it was saved: {path} names the clips of the batch; '
    'the same command goes on from the last checkpoint, a lower config.optimizer.learning_rate needs a new --workdir'
  )


def _evaluated(
  evaluate: Any, variables: Any, batches: list[dict], weights: Any
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
  """The mean metrics of the evaluation batches, and the pictures of the first."""
  results = [evaluate(variables, batch, weights) for batch in batches]
  metrics = jax.device_get([metrics for metrics, _ in results])
  means = {name: float(np.mean([values[name] for values in metrics])) for name in metrics[0]}
  return means, jax.device_get(results[0][1])


def _pace(
  config: ConfigDict, frozen: Frozen, mesh: Mesh, state: TrainState, weights: Any, batch: dict[str, jax.Array]
) -> Pace:
  """Counts what a step has to do: all its parts, and nothing that is made twice to save memory."""
  whole = ConfigDict(config.to_dict())
  whole.update(accumulate=1, remat=False)
  step, _ = sharding.jitted(make_task(whole, frozen), mesh)
  flops = step.lower(state, batch, weights).cost_analysis()['flops']
  chip = hardware.chip(mesh.devices.flat[0].device_kind)
  frames = config.data.batch_size * WINDOW_FRAMES * (config.data.windows if config.task == 'sync_expert' else 1)
  return Pace(frames, flops, chip.flops * mesh.devices.size if chip else None)
