"""Ours beside PyTorch: two worker processes of one parent, which measures what they hold in turns.

A process each, because either framework would take a GPU's memory for itself; new ones for each case, so that none
lives with what another left behind. Before anything is measured, outputs are compared: both must do the same work.
What fails is said and left out, the rest is measured, and figures are kept at once: hours may have gone into them.
"""

import concurrent.futures
import importlib.util
import json
import math
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from lpips_jax import cli
from lpips_jax.files import keep_compiled_programs, write_whole

OURS = 'ours'
ROWS = 'released_recipe', 'eager_float32', 'eager_bf16', 'compiled_float32', 'compiled_bf16'
DEFAULT_ROWS = {
  'cpu': ('released_recipe', 'eager_float32', 'compiled_float32'),
  'gpu': ('released_recipe', 'eager_float32', 'eager_bf16', 'compiled_bf16'),
}
COMPILE_MODES = 'default', 'reduce-overhead', 'max-autotune', 'max-autotune-no-cudagraphs'
NO_MEMORY = 'out of memory', 'RESOURCE_EXHAUSTED'  # as PyTorch and XLA say it
TOO_LITTLE = 'out of memory'  # as we do

Outputs = dict[str, np.ndarray]


@dataclass(frozen=True)
class Contender:
  """What is measured.

  Attributes:
    outputs: computes once, and returns what must agree; called before `run`.
    run: computes so many times, and returns when all of it is done.
  """

  outputs: Callable[[], Outputs]
  run: Callable[[int], None]


@dataclass(frozen=True)
class Side:
  """What a worker holds.

  Attributes:
    platform: 'cpu' or 'gpu'.
    device: its name.
    version: of the framework.
    contenders: by name.
    weights: ours, as NumPy arrays, for the other side.
  """

  platform: str
  device: str
  version: str
  contenders: Mapping[str, Contender]
  weights: Any = None


@dataclass(frozen=True)
class Case:
  """What both sides do the same.

  Attributes:
    group: cases of one group differ in batch size alone; the best of them counts.
    batch_size: of one run.
    examples: that one run takes.
    details: what `ours` and `reference` need to know.
    beside: contenders of the reference's that are measured, too, but count for no ratio over PyTorch.
  """

  group: str
  batch_size: int
  examples: int
  details: Any
  beside: Sequence[str] = ()


@dataclass
class Measured:
  """Attributes:
  case: what was measured.
  ready: by contender, seconds until its first outputs: most of them compiling, where nothing was kept from before.
  differences: by row, how far outputs are from ours: the greatest difference of any, over its greatest value.
  rates: by contender, examples a second in each round.
  failed: by contender, why it has no figures: too little memory, an error, or other outputs than ours.
  """

  case: Case
  ready: dict[str, float] = field(default_factory=dict)
  differences: dict[str, float] = field(default_factory=dict)
  rates: dict[str, list[float]] = field(default_factory=dict)
  failed: dict[str, str] = field(default_factory=dict)


def define_flags() -> None:
  flags.DEFINE_string('output', None, 'Writes the figures there as JSON, too.')
  flags.DEFINE_enum('device', 'auto', ['auto', 'cpu'], 'auto: the accelerator, if there is one.')
  flags.DEFINE_list('rows', [], f'Of {", ".join(ROWS)}; by default those that suit the device.')
  flags.DEFINE_list('batch_sizes', [], 'The best of them counts; by default what suits the device.')
  flags.DEFINE_integer('rounds', 5, 'How often everything is measured, in turns.', lower_bound=1)
  flags.DEFINE_float('seconds', 2.0, 'How long a turn lasts at least.', lower_bound=0.0)
  flags.DEFINE_enum('compile_mode', 'default', COMPILE_MODES, "torch.compile's.")
  flags.DEFINE_boolean('tiny', False, 'Networks of a few channels: to try the command out, not to measure.')
  flags.register_validator('rows', lambda rows: set(rows) <= set(ROWS), f'choose of {", ".join(ROWS)}')
  flags.register_validator('batch_sizes', lambda sizes: all(s.isdigit() and int(s) for s in sizes), 'positive numbers')


def compare(
  cases: Callable[[str], Sequence[Case]],
  ours: Callable[[Any], Side],
  reference: Callable[[Any, Any, Sequence[str], str], Side],
  unit: str,
  tolerances: Mapping[str, float],
) -> None:
  """Measures all cases, prints a table and writes the figures; see `measure`.

  Raises:
    UserError: something failed for other reasons than memory; it is told after all the rest.
  """
  figures = measure(cases, ours, reference, unit, tolerances)
  print('\n' + table(figures))
  told = [f'{case["group"]}, {name}: {why}' for case in figures['cases'] for name, why in case['failed'].items()]
  if any(TOO_LITTLE not in line for line in told):
    cli.fail('; '.join(told))


def measure(
  cases: Callable[[str], Sequence[Case]],
  ours: Callable[[Any], Side],
  reference: Callable[[Any, Any, Sequence[str], str], Side],
  unit: str,
  tolerances: Mapping[str, float],
) -> dict[str, Any]:
  """Measures all cases as the flags say, and returns the figures: `summary`'s, and what they were measured on.

  Args:
    cases: what to measure on a platform, 'cpu' or 'gpu'.
    ours: makes our side of a case's details; run in a process of its own, and so importable.
    reference: likewise PyTorch's, of details, our weights, names of contenders and torch.compile's mode.
    unit: of an example, in the plural.
    tolerances: how far outputs may be from ours, by the type of numbers: `float32` and `bf16`.
  """
  given = flags.FLAGS
  if importlib.util.find_spec('torch') is None:
    cli.fail("this needs PyTorch: pip install -e '.[convert]'")
  prepare_environment(given.device)
  keep_compiled_programs()
  with _worker() as probe:
    platform = probe.submit(_jax_platform).result()
  if platform not in DEFAULT_ROWS:
    cli.fail(f'PyTorch is measured on CPUs and NVIDIA GPUs, not on a {platform}: give --device=cpu')
  measured, about = [], {}
  for case in cases(platform):
    result = Measured(case)
    about = _measure_case(result, [*rows(platform), *case.beside], ours, reference, tolerances) or about
    measured.append(result)
    print(f'{_title(result)}: {_line(result, unit)}', flush=True)
    figures = about | {'unit': f'{unit}/s', 'tiny': given.tiny, 'compile_mode': given.compile_mode} | summary(measured)
    if given.output:
      write_whole(Path(given.output), json.dumps(figures, indent=2) + '\n')
  return figures


def _measure_case(
  result: Measured,
  names: Sequence[str],
  ours: Callable[[Any], Side],
  reference: Callable[[Any, Any, Sequence[str], str], Side],
  tolerances: Mapping[str, float],
) -> dict[str, Any]:
  """Fills in the result; returns what there is to say of the sides, which is nothing where they could not be made."""
  with _worker() as jax_worker, _worker() as torch_worker:
    workers = {OURS: jax_worker} | dict.fromkeys(names, torch_worker)
    try:
      about = _start(result.case, jax_worker, torch_worker, ours, reference, names)
    except Failure as failure:
      result.failed = dict.fromkeys(workers, str(failure))
      return {}
    _check(result, workers, about, tolerances)
    _measure(result, workers, flags.FLAGS.rounds, flags.FLAGS.seconds)
  return about


def rows(platform: str) -> Sequence[str]:
  """PyTorch's, as the flags say; the last is the one that is tuned most."""
  return flags.FLAGS.rows or DEFAULT_ROWS[platform]


def summary(measured: Sequence[Measured]) -> dict[str, Any]:
  """Returns what is written of all cases: the ratios, the best of each group, and every measurement.

  `ratios` are ours over each row, of the best batch sizes of either, and `ratio` is ours over the fastest row; both are
  geometric means over the groups, and leave out what is `beside`. Spread is the least and the most of all rounds.
  """
  groups: dict[str, dict[str, dict[str, float]]] = {}
  for result in measured:
    best = groups.setdefault(result.case.group, {})
    for name, rates in result.rates.items():
      entry = {'median': statistics.median(rates), 'low': min(rates), 'high': max(rates)}
      entry['batch_size'] = result.case.batch_size
      best[name] = max(best.get(name, entry), entry, key=lambda x: x['median'])
  of_groups = {group: _ratios(best) for group, best in groups.items() if OURS in best and len(best) > 1}
  beside = {name for result in measured for name in result.case.beside}
  counted = [{name: ratio for name, ratio in of.items() if name not in beside} for of in of_groups.values()]
  counted = [ratios for ratios in counted if ratios]
  names = [name for name in counted[0] if all(name in ratios for ratios in counted)] if counted else []
  return {
    'ratio': _geometric_mean([min(ratios.values()) for ratios in counted]),
    'ratios': {name: _geometric_mean([ratios[name] for ratios in counted]) for name in names},
    'groups': {group: {'best': best, 'ratios': of_groups.get(group, {})} for group, best in groups.items()},
    'cases': [
      {
        'group': result.case.group,
        'batch_size': result.case.batch_size,
        'ready_after_seconds': result.ready,
        'differences': result.differences,
        'rates': result.rates,
        'failed': result.failed,
      }
      for result in measured
    ],
  }


def table(figures: Mapping[str, Any]) -> str:
  """The best of each contender of each group, in Markdown."""
  lines = [f'| | batch | {figures["unit"]} | least to most | ours is |', '|---|---:|---:|---:|---:|']
  for group, entry in figures['groups'].items():
    for name, best in entry['best'].items():
      ratio = f'{entry["ratios"][name]:.2f} x' if name in entry['ratios'] else ''
      spread = f'{best["low"]:.4g} to {best["high"]:.4g}'
      lines.append(f'| {group}, {name} | {best["batch_size"]} | {best["median"]:.4g} | {spread} | {ratio} |')
  if figures['ratio'] is not None:
    lines.append(f'\nOurs over PyTorch at its best: {figures["ratio"]:.2f}')
  return '\n'.join(lines)


def _ratios(best: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
  return {name: best[OURS]['median'] / entry['median'] for name, entry in best.items() if name != OURS}


def _geometric_mean(values: Sequence[float]) -> float | None:
  return math.exp(statistics.fmean(map(math.log, values))) if values else None


def _title(result: Measured) -> str:
  return f'{result.case.group}, batch of {result.case.batch_size}'


def _line(result: Measured, unit: str) -> str:
  medians = [f'{name} {statistics.median(rates):.4g}' for name, rates in result.rates.items()]
  failed = [f'{name}: {why.splitlines()[0]}' for name, why in result.failed.items()]
  return '; '.join([f'{unit}/s: {", ".join(medians)}', *failed])


def prepare_environment(device: str) -> None:
  """Of this process and of those that it starts: they share a GPU, whose memory JAX would else take at once."""
  os.environ['XLA_PYTHON_CLIENT_PREALLOCATE'] = 'false'
  os.environ.setdefault('CUDA_VISIBLE_DEVICES', '0')  # one device on either side
  if device == 'cpu':
    os.environ |= {'JAX_PLATFORMS': 'cpu', 'CUDA_VISIBLE_DEVICES': ''}


def _start(
  case: Case,
  jax_worker: concurrent.futures.Executor,
  torch_worker: concurrent.futures.Executor,
  ours: Callable[[Any], Side],
  reference: Callable[..., Side],
  names: Sequence[str],
) -> dict[str, Any]:
  """Has both workers make their sides; returns what there is to say of them."""
  jax_side = jax_worker.submit(_make, ours, (case.details,)).result()
  arguments = case.details, jax_side.pop('weights'), names, flags.FLAGS.compile_mode
  torch_side = torch_worker.submit(_make, reference, arguments).result()
  if jax_side['platform'] != torch_side['platform']:
    cli.fail(
      f'JAX is on a {jax_side["platform"]}, PyTorch on a {torch_side["platform"]}: install both for the same device, '
      'or give --device=cpu'
    )
  return jax_side | {'jax': jax_side.pop('version'), 'torch': torch_side['version'], 'cores': os.cpu_count()}


def _check(
  result: Measured,
  workers: Mapping[str, concurrent.futures.Executor],
  about: Mapping[str, Any],
  tolerances: Mapping[str, float],
) -> None:
  """Compares outputs with ours; those that are not of the same work are not measured."""
  expected = None
  for name, worker in workers.items():  # ours first
    begun = time.perf_counter()
    found = _guarded(result, name, worker.submit(_outputs, name))
    result.ready[name] = time.perf_counter() - begun
    print(f'{_title(result)}: {name} ready after {result.ready[name]:.0f} s', flush=True)
    if name == OURS:
      expected = found
    if name == OURS or expected is None or found is None:
      continue
    result.differences[name] = difference(expected, found)
    exact = about['platform'] == 'cpu' and 'bf16' not in name  # ours is in bfloat16 on a GPU
    tolerance = tolerances['float32' if exact else 'bf16']
    if not result.differences[name] <= tolerance:
      result.failed[name] = f'{result.differences[name]:.2g} from ours: not the same work'


def difference(expected: Outputs, found: Outputs) -> float:
  """The greatest difference of any output, over the greatest value of that output."""
  if expected.keys() != found.keys():
    raise RuntimeError(f'outputs are {", ".join(sorted(found))}, and not {", ".join(sorted(expected))}')
  return max(float(np.abs(found[k] - x).max() / np.abs(x).max().clip(1e-6)) for k, x in expected.items())


def _measure(result: Measured, workers: Mapping[str, concurrent.futures.Executor], rounds: int, seconds: float) -> None:
  """Rounds in which each contender has a turn; turns go the other way round every second time."""
  repeats = {}
  for name, worker in workers.items():
    if name not in result.failed:
      once = _guarded(result, name, worker.submit(_seconds, name, 2))
      repeats[name] = max(1, math.ceil(2 * seconds / once)) if once else 0
  names = [name for name in repeats if name not in result.failed]
  result.rates = {name: [] for name in names}
  for turn in range(rounds):
    for name in names if turn % 2 == 0 else names[::-1]:
      took = _guarded(result, name, workers[name].submit(_seconds, name, repeats[name]))
      if took:
        result.rates[name].append(result.case.examples * repeats[name] / took)
  result.rates = {name: rates for name, rates in result.rates.items() if name not in result.failed}


def _guarded(result: Measured, name: str, future: concurrent.futures.Future) -> Any:
  """The result; None for a contender that fails, which is noted."""
  try:
    return future.result()
  except (Failure, BrokenProcessPool) as failure:
    result.failed.setdefault(name, str(failure))
    return None


# ---- in a worker


@contextmanager
def _worker() -> Iterator[concurrent.futures.Executor]:
  with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context('spawn')) as pool:
    yield pool


_side: Side | None = None  # of this worker


def _jax_platform() -> str:
  import jax

  return jax.default_backend()


def _make(make: Callable[..., Side], arguments: Sequence[Any]) -> dict[str, Any]:
  global _side
  _side = _told(lambda: make(*arguments))
  return {'platform': _side.platform, 'device': _side.device, 'version': _side.version, 'weights': _side.weights}


def _outputs(name: str) -> Outputs:
  return _told(_side.contenders[name].outputs)


def _seconds(name: str, repeats: int) -> float:
  """Once more than asked for: what the last turn of another left, such as emptied caches, is then made good."""
  _told(lambda: _side.contenders[name].run(1))
  begun = time.perf_counter()
  _told(lambda: _side.contenders[name].run(repeats))
  return time.perf_counter() - begun


class Failure(Exception):
  """What went wrong in a worker, as text."""


def _told(work: Callable[[], Any]) -> Any:
  """What work returns; its errors as `Failure`, which keeps nothing alive, as their tracebacks would a GPU's memory."""
  try:
    return work()
  except cli.UserError:
    raise
  except Exception as error:
    why = TOO_LITTLE if any(mark in str(error) for mark in NO_MEMORY) else f'{type(error).__name__}: {error}'
  raise Failure(why)
