"""The training loop, read top to bottom: network, state, resume, then step, log, evaluate, save."""

import json
import math
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from lpips_jax.core.errors import UserError
from lpips_jax.core.files import alone_in, write_whole
from lpips_jax.evaluation import Clip
from lpips_jax.training import checkpoints, multihost, sharding, step_program, warm_start
from lpips_jax.training.logs import Pace, RunLog
from lpips_jax.training.previews import View, make_preview
from lpips_jax.training.state import TrainState
from lpips_jax.training.tasks import Frozen, load_frozen, make_task
from lpips_jax.training.validation import check_config

LAG = 2  # steps after which a step's metrics are read: the device is then busy with the next, and never waits


@dataclass(frozen=True)
class TrainData:
  """What to train on.

  Attributes:
    batches: this process's share of endless training batches: a Grain iterator, whose state is saved with the
      network's. Beside what the step takes each holds `id`, the clips that it was made of, and `skipped`, how many
      damaged records were left out.
    eval_batches: this process's share of the few batches of each evaluation.
    clips: whole clips to look at: of an expert, of those it is trained on; of a generator, one of the evaluation's.
  """

  batches: Any
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
    FloatingPointError: a loss is not finite. A file in `workdir` names the clips of the batch, unless it is that of an
      evaluation; nothing of the step is saved.
  """
  check_config(config)
  if workdir.is_file():
    raise UserError(f'--workdir={workdir} is a file: give a directory')
  workdir.mkdir(parents=True, exist_ok=True)
  with multihost.preemption() as told_to_stop:  # for all that the run holds: SIGTERM would be raised in its tidying up
    return _train(config, workdir, open_data, told_to_stop)


def _train(
  config: ConfigDict, workdir: Path, open_data: Callable[[ConfigDict], TrainData], told_to_stop: Callable[[int], bool]
) -> TrainState:
  with ExitStack() as stack:
    if jax.process_index() == 0:
      stack.enter_context(alone_in(workdir))
    checkpointer = stack.enter_context(checkpoints.open_run(workdir / 'checkpoint', config))

    # ---- network, data, and the state, new or resumed
    start = warm_start.find_start(config, workdir / 'checkpoint')
    frozen = load_frozen(config, workdir / 'checkpoint')
    task = make_task(config, frozen, start)
    data = open_data(config)
    stack.callback(data.batches.close)
    mesh = sharding.make_mesh(config.data.batch_size, config.accumulate)
    state, weights = (sharding.put_replicated(tree, mesh) for tree in (task.init(), frozen.weights))
    state = checkpoints.resume(checkpointer, state, data.batches)
    done = saved = int(state.step)
    if done:
      _say(f'{workdir} is at step {done} of {config.steps}: {"going on" if done < config.steps else "nothing to do"}')
    if done >= config.steps:
      return state

    # ---- one program over all devices
    _say(f'compiling the step for {mesh.devices.size} {mesh.devices.flat[0].device_kind}')
    step, evaluate = sharding.jitted(task, mesh)
    eval_batches = [sharding.put_batch(batch, mesh) for batch in data.eval_batches]
    lowered = step.lower(state, eval_batches[0], weights)
    pace = Pace(config, _flops(config, frozen, lowered), mesh.devices)
    step = lowered.compile()
    log = None if jax.process_index() else stack.enter_context(RunLog(workdir, config.steps, done, config.task))
    run = RunContext(
      config, workdir, evaluate, weights, eval_batches, data.clips, make_preview(config, frozen), pace, log
    )

    # ---- the loop
    pending, damaged = deque(), 0
    for n in range(done + 1, config.steps + 1):
      if told_to_stop(n):
        break
      batch = next(data.batches)
      ids, damaged = batch.pop('id'), damaged + int(batch.pop('skipped').sum())
      state, metrics = step(state, sharding.put_batch(batch, mesh), weights)
      pending.append(MadeStep(n, metrics, ids, damaged))
      _read(run, pending, LAG)
      # Evaluated on this state, then saved with what the evaluation opened, and only then the next batch is drawn: a
      # resumed run finds everything as it was.
      evaluated = None
      if _due(n, config.eval_every, config):
        _read(run, pending)
        state, evaluated = _evaluated(run, n, state)
      if _due(n, config.checkpoint_every, config):
        _read(run, pending)
        with pace.paused():
          checkpoints.save(checkpointer, config, n, state, data.batches, evaluated)
        saved = n

    # ---- the end, or an early one
    _read(run, pending)
    n = int(state.step)
    if n > saved:
      checkpoints.save(checkpointer, config, n, state, data.batches, None)
    checkpoints.finish(checkpointer, config)
    if n < config.steps:
      reached = f'and saved at step {n}: the same command goes on from there' if n else 'before the first step'
      _say(f'stopped by SIGTERM {reached}')
  return state


@dataclass(frozen=True)
class RunContext:
  """What stays the same throughout a run."""

  config: ConfigDict
  workdir: Path
  evaluate: Callable[..., Any]
  weights: dict[str, Any]  # frozen ones
  eval_batches: list[dict[str, jax.Array]]
  clips: Sequence[Clip]
  view: View
  pace: Pace
  log: RunLog | None  # of the first process


class MadeStep(NamedTuple):
  """A step that was made, perhaps not yet by the device."""

  step: int
  metrics: dict[str, jax.Array]
  ids: np.ndarray  # of the clips in this process's share of the batch
  damaged: int  # records that the data left out since this process began


def _due(n: int, every: int, config: ConfigDict) -> bool:
  return n % every == 0 or n == config.steps


def _read(run: RunContext, pending: deque[MadeStep], keep: int = 0) -> None:
  """Reads the metrics of all steps made but the last `keep`, and logs those that are to be logged.

  Raises:
    FloatingPointError: one of them is not finite.
  """
  while len(pending) > keep:
    made = pending.popleft()
    values = {name: float(value) for name, value in jax.device_get(made.metrics).items()}
    _require_finite(run, made, values)
    if run.log:
      run.log.advance()
      if _due(made.step, run.config.log_every, run.config):
        damaged = {'damaged_records': made.damaged} if made.damaged else {}
        run.log.train(made.step, values | run.pace.rates(made.step) | damaged)


def _require_finite(run: RunContext, made: MadeStep, values: dict[str, float]) -> None:
  """Raises FloatingPointError unless all metrics are finite; leaves a file that says which clips the batch was made of.

  The state of this step was not saved: whoever saves reads all metrics first, the norm of the gradient among them.
  """
  wrong = [name for name, value in values.items() if not math.isfinite(value)]
  if not wrong:
    return
  process = f'_process{jax.process_index()}' if jax.process_count() > 1 else ''
  path = run.workdir / f'not_finite_{made.step}{process}.json'
  clips = [name.decode() for name in np.unique(made.ids)]
  values = {name: value if math.isfinite(value) else str(value) for name, value in values.items()}
  write_whole(path, json.dumps({'step': made.step, 'metrics': values, 'clips': clips}, indent=2) + '\n')
  raise FloatingPointError(
    f'{", ".join(wrong)} not finite at step {made.step}, nothing of it was saved: {path} names the clips of the batch; '
    'the same command goes on from the last checkpoint, a lower config.optimizer.learning_rate needs a new --workdir'
  )


def _evaluated(run: RunContext, n: int, state: TrainState) -> tuple[TrainState, dict[str, float]]:
  """Logs what the moving average is worth and what there is to see; opens the sync loss once it is earned."""
  with run.pace.paused():
    results = [run.evaluate(state.average, batch, run.weights) for batch in run.eval_batches]
    metrics = jax.device_get([metrics for metrics, _ in results])
    means = {name: float(np.mean([values[name] for values in metrics])) for name in metrics[0]}
    if not math.isfinite(means['loss']):
      raise FloatingPointError(
        f'the loss evaluated at step {n} is {means["loss"]}, the step was not saved: the weights are beyond use, and a '
        'lower config.optimizer.learning_rate needs a new --workdir'
      )
    if run.config.task == 'generator' and means['sync'] < run.config.losses.sync_gate:
      state = state.with_sync_opened()
    if run.log:
      seen = run.view(run.log, n, state.average, means, jax.device_get(results[0][1]), run.clips)
      run.log.evaluation(n, means | seen)
  return state, means


def _flops(config: ConfigDict, frozen: Frozen, lowered: Any) -> float | None:
  """What a step has to compute: all parts of its batch, and nothing that is made twice to save memory."""
  if config.accumulate == 1 and not config.remat:
    counted = lowered.cost_analysis()  # which GPUs and TPUs cannot say
    if counted:
      return counted['flops']
  return step_program.count_flops(config, frozen)


def _say(line: str) -> None:
  if jax.process_index() == 0:
    print(line, flush=True)
