"""The training loop, read top to bottom: set up or resume a run; step, log, evaluate, save; finish."""

import json
import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from jax.stages import Lowered
from ml_collections import ConfigDict
from orbax.checkpoint import v1 as ocp

from lpips_jax import models
from lpips_jax.core.constants import SILENT_GENERATOR
from lpips_jax.core.errors import UserError
from lpips_jax.core.files import directory_lock, shown, write_whole
from lpips_jax.evaluation import Clip
from lpips_jax.pretrained.network import Pretrained
from lpips_jax.training import checkpoints, goodput, multihost, sharding, step_program, warm_start
from lpips_jax.training.compiled import programs_kept
from lpips_jax.training.frozen import Frozen, load_frozen
from lpips_jax.training.logs import Pace, RunLog
from lpips_jax.training.previews import Evaluated, Preview, make_preview
from lpips_jax.training.profiling import Profile
from lpips_jax.training.state import TrainState
from lpips_jax.training.step import Evaluation, FrozenVariables, Metrics, Step, Task
from lpips_jax.training.tasks import make_task
from lpips_jax.training.validation import check_config

LAG = 2  # steps after which a step's metrics are read: the device is then busy with the next, and never waits


@dataclass(frozen=True)
class TrainData:
  """The data of a run.

  Attributes:
    batches: this process's share of endless training batches: a Grain iterator, whose state is saved with the
      network's. Besides the step's inputs each holds `id`, the clips that it was made of, and `skipped`, how many
      damaged records were left out.
    eval_batches: this process's share of the few batches of each evaluation.
    clips: whole clips for previews: some that an expert is trained on, or one of the evaluation's for a generator.
  """

  batches: Any
  eval_batches: list[dict[str, np.ndarray]]
  clips: Sequence[Clip]


def train(config: ConfigDict, workdir: Path, open_data: Callable[[ConfigDict], TrainData]) -> TrainState:
  """Trains for `config.steps` steps, resuming what `workdir` holds, and returns the final state.

  SIGTERM ends it early, after the current step: the state is saved and returned (`multihost.preemption`).

  Args:
    config: see configs/lrs2.py.
    workdir: gets `checkpoint/`, `compiled/`, what `config.writers` write, `samples/` or, for an expert, `diagnosis/`.
    open_data: called once the network has all it needs, as preparing a corpus takes long.

  Raises:
    UserError: the config asks for something that is not there, or differs from that of the run in `workdir`; or a
      checkpoint cannot be written.
    FloatingPointError: a loss is not finite. A file in `workdir` names the clips of the batch, unless it is that of an
      evaluation; nothing of the step is saved.
  """
  clock = goodput.Clock()
  check_config(config)
  if workdir.is_file():
    raise UserError(f'workdir={workdir} is a file: give a directory', 'workdir')
  workdir.mkdir(parents=True, exist_ok=True)
  # Outermost, as SIGTERM would otherwise interrupt whatever tidies up after the run.
  with multihost.preemption() as stop_requested, ExitStack() as resources:
    setup = _set_up(config, workdir, open_data, resources)
    done = int(setup.state.step)
    if done:
      _say(f'{workdir} is at step {done} of {config.steps}: {"going on" if done < config.steps else "nothing to do"}')
    if done >= config.steps:
      return setup.state
    run = _compile(setup, config, workdir, clock, resources)
    state, saved = _run(run, setup.state, stop_requested)
    _finish(run, state, saved)
    return state


class Setup(NamedTuple):
  """A run that is ready to be compiled.

  Attributes:
    task: its step and evaluation.
    frozen: the networks that it does not train.
    data: what it trains on.
    mesh: the devices.
    state: new or resumed, on all of them.
    checkpointer: saves the state.
  """

  task: Task
  frozen: Frozen
  data: TrainData
  mesh: Mesh
  state: TrainState
  checkpointer: ocp.training.Checkpointer


@dataclass(frozen=True)
class RunContext:
  """Everything that stays the same throughout a run.

  Attributes:
    config: of the run.
    workdir: the run's directory.
    step: compiled.
    evaluate: compiled when first called.
    gates: see `Task`.
    frozen_variables: on all devices.
    mesh: the devices.
    batches: see `TrainData`.
    eval_batches: on all devices.
    clips: see `TrainData`.
    checkpointer: saves the state.
    preview: logs what can be seen of an evaluation.
    clock: sorts the run's time.
    pace: of the steps.
    profile: traces some of the steps.
    log: of the first process; None in others.
  """

  config: ConfigDict
  workdir: Path
  step: Step
  evaluate: Evaluation
  gates: Mapping[str, float]
  frozen_variables: FrozenVariables
  mesh: Mesh
  batches: Any
  eval_batches: list[dict[str, jax.Array]]
  clips: Sequence[Clip]
  checkpointer: ocp.training.Checkpointer
  preview: Preview
  clock: goodput.Clock
  pace: Pace
  profile: Profile
  log: RunLog | None


class MadeStep(NamedTuple):
  """A step that was started, perhaps not yet finished by the device.

  Attributes:
    step: the number of updates after it.
    metrics: () each.
    ids: of the clips in this process's share of the batch.
    damaged: records that the data left out since this process began.
  """

  step: int
  metrics: Metrics
  ids: np.ndarray
  damaged: int


def _set_up(
  config: ConfigDict, workdir: Path, open_data: Callable[[ConfigDict], TrainData], resources: ExitStack
) -> Setup:
  """Loads networks and data, and makes the state or resumes it; `resources` closes what it opens."""
  if jax.process_index() == 0:
    resources.enter_context(directory_lock(workdir))
  resources.enter_context(programs_kept(workdir / 'compiled'))
  checkpoint = workdir / 'checkpoint'
  checkpointer = resources.enter_context(checkpoints.open_run(checkpoint, config))
  start = warm_start.find_start(config.get('init_from'), config.task, checkpoint)
  frozen = load_frozen(config, checkpoint)
  task = make_task(config, frozen, start)
  data = open_data(config)
  resources.callback(data.batches.close)
  mesh = sharding.make_mesh(step_program.clips_of_batch(config), config.accumulate)
  state = checkpoints.resume(checkpointer, sharding.put_replicated(task.init(), mesh), data.batches)
  return Setup(task, frozen, data, mesh, state, checkpointer)


def _compile(setup: Setup, config: ConfigDict, workdir: Path, clock: goodput.Clock, resources: ExitStack) -> RunContext:
  """Compiles the step to one program over all devices, and opens the log."""
  devices, frozen, done = setup.mesh.devices, setup.frozen, int(setup.state.step)
  _say(f'compiling the step for {devices.size} {devices.flat[0].device_kind}')
  step, evaluate = sharding.jitted(setup.task, setup.mesh)
  frozen_variables = sharding.put_replicated(frozen.variables, setup.mesh)
  eval_batches = [sharding.put_batch(batch, setup.mesh) for batch in setup.data.eval_batches]
  lowered = step.lower(setup.state, eval_batches[0], frozen_variables)
  pace = Pace(step_program.frames_of_batch(config), _flops(config, frozen, lowered), list(devices.flat), clock)
  with clock.during(goodput.COMPILE):
    compiled = lowered.compile()
  log = None
  if jax.process_index() == 0:
    clock.follow(goodput.last_times(workdir / 'metrics.jsonl', done))
    log = resources.enter_context(RunLog(workdir, config, done))
  profile = Profile(config.profile, workdir, lambda: clock.during(goodput.SAVING), log.say if log else _say)
  shutting = frozen.modules.get(SILENT_GENERATOR)
  silent = Pretrained(config, shutting, frozen.variables[SILENT_GENERATOR], 0) if shutting else None
  return RunContext(
    config=config,
    workdir=workdir,
    step=compiled,
    evaluate=evaluate,
    gates=setup.task.gates,
    frozen_variables=frozen_variables,
    mesh=setup.mesh,
    batches=setup.data.batches,
    eval_batches=eval_batches,
    clips=setup.data.clips,
    checkpointer=setup.checkpointer,
    preview=make_preview(Pretrained(config, models.build(config.model), {}, 0, silent)),
    clock=clock,
    pace=pace,
    profile=resources.enter_context(profile),
    log=log,
  )


def _run(run: RunContext, state: TrainState, stop_requested: Callable[[int], bool]) -> tuple[TrainState, int]:
  """Makes the steps, until the last or until it is asked to stop; returns the state, and the last step saved."""
  config, saved = run.config, int(state.step)
  pending: deque[MadeStep] = deque()
  damaged = 0
  run.clock.switch(goodput.STEPS)
  _log_times(run, saved)
  for n in range(saved + 1, config.steps + 1):
    if stop_requested(n):
      break
    batch = _next_batch(run, pending)
    ids, damaged = batch.pop('id'), damaged + int(batch.pop('skipped').sum())
    state, metrics = run.profile.make(n, run.step, state, sharding.put_batch(batch, run.mesh), run.frozen_variables)
    pending.append(MadeStep(n, metrics, ids, damaged))
    _log_steps(run, pending, LAG)
    # First evaluate this state, then save it with what the evaluation opened, and only then draw the next batch: a
    # resumed run finds everything as it was.
    evaluated = None
    if _due(n, config.eval_every, config.steps):
      _log_steps(run, pending)
      state, evaluated = _evaluate(run, n, state)
    if _due(n, config.checkpoint_every, config.steps):
      _log_steps(run, pending)
      with run.clock.during(goodput.SAVING):
        checkpoints.save(run.checkpointer, config, n, state, run.batches, evaluated)
      saved = n
      if n < config.steps:  # else `_finish` does so
        _log_times(run, n)
  _log_steps(run, pending)
  return state, saved


def _finish(run: RunContext, state: TrainState, saved: int) -> None:
  """Saves the state unless it is that of step `saved`, and waits until everything is written."""
  n = int(state.step)
  with run.clock.during(goodput.SAVING):
    if n > saved:
      checkpoints.save(run.checkpointer, run.config, n, state, run.batches, None)
    checkpoints.finish(run.checkpointer, run.config.keep, run.config.keep_best)
  _log_times(run, n)
  _say(goodput.describe(run.clock.seconds()))
  if n < run.config.steps:
    reached = f'and saved at step {n}: the same command goes on from there' if n else 'before the first step'
    _say(f'stopped by SIGTERM {reached}')


def _next_batch(run: RunContext, pending: deque[MadeStep]) -> Any:
  """Returns the next batch; the time counts as lost only if the devices had finished their steps before it came."""
  began = time.monotonic()
  batch = next(run.batches)
  newest: Any = pending[-1].metrics.values() if pending else ()  # JAX's types leave out `is_ready`
  if all(value.is_ready() for value in newest):
    run.clock.count_as(goodput.INPUT, time.monotonic() - began)
  return batch


def _due(n: int, every: int, last: int) -> bool:
  return n % every == 0 or n == last


def _log_times(run: RunContext, n: int) -> None:
  """Logs the run's time up to the save of step `n`, or the start from it: from there the next attempt counts it."""
  if run.log:
    run.log.times(n, run.clock.seconds())


def _log_steps(run: RunContext, pending: deque[MadeStep], leave: int = 0) -> None:
  """Reads the metrics of all pending steps but the last `leave`, and logs those that are due.

  Raises:
    FloatingPointError: one of them is not finite.
  """
  while len(pending) > leave:
    made = pending.popleft()
    values = {name: float(value) for name, value in jax.device_get(made.metrics).items()}
    _require_finite(run.workdir, made, values)
    if run.log:
      run.log.advance()
      if _due(made.step, run.config.log_every, run.config.steps):
        damaged = {'damaged_records': made.damaged} if made.damaged else {}
        run.log.train(made.step, values | run.pace.rates(made.step) | damaged)


def _require_finite(workdir: Path, made: MadeStep, values: dict[str, float]) -> None:
  """Raises FloatingPointError unless all metrics are finite; leaves a file that names the clips of the batch.

  The state of this step was not saved: before each save all metrics are read, the norm of the gradient among them.
  """
  wrong = [name for name, value in values.items() if not math.isfinite(value)]
  if not wrong:
    return
  process = f'_process{jax.process_index()}' if jax.process_count() > 1 else ''
  path = workdir / f'not_finite_{made.step}{process}.json'
  clips = [name.decode() for name in np.unique(made.ids)]
  metrics = {name: value if math.isfinite(value) else str(value) for name, value in values.items()}
  write_whole(path, json.dumps({'step': made.step, 'metrics': metrics, 'clips': clips}, indent=2) + '\n')
  raise FloatingPointError(
    f'{", ".join(wrong)} not finite at step {made.step}, nothing of it was saved: {path} names the clips of the batch; '
    'the same command goes on from the last checkpoint, a lower config.optimizer.learning_rate needs a new workdir'
  )


def _evaluate(run: RunContext, n: int, state: TrainState) -> tuple[TrainState, dict[str, float]]:
  """Evaluates the moving average, logs numbers and previews, and opens gated losses that have fallen low enough."""
  with run.clock.during(goodput.EVALUATION):
    results = [run.evaluate(state.average, batch, run.frozen_variables) for batch in run.eval_batches]
    metrics = jax.device_get([metrics for metrics, _ in results])
    means = {name: float(np.mean([values[name] for values in metrics])) for name in metrics[0]}
    if not math.isfinite(means['loss']):
      raise FloatingPointError(
        f'the loss evaluated at step {n} is {means["loss"]}, the step was not saved: the weights are beyond use, and a '
        'lower config.optimizer.learning_rate needs a new workdir'
      )
    for name, threshold in run.gates.items():
      if means[name] < threshold:
        state = state.with_opened(name)
    if run.log:
      evaluated = Evaluated(means, jax.device_get(results[0][1]))
      seen = run.preview(run.log, n, state.average, evaluated, run.clips)
      run.log.evaluation(n, means | seen)
  return state, means


def _flops(config: ConfigDict, frozen: Frozen, lowered: Lowered) -> float | None:
  """The operations that a step needs: all micro-batches count, and nothing that is recomputed to save memory."""
  if config.accumulate == 1 and not config.remat:
    counted = lowered.cost_analysis()  # None on GPUs and TPUs
    if counted:
      return counted['flops']
  return step_program.count_flops(config, frozen)


def _say(line: str) -> None:
  """Prints a line in the first process."""
  if jax.process_index() == 0:
    print(shown(line), flush=True)
