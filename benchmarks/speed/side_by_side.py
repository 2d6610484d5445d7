"""Comparison with PyTorch: two worker processes of one parent, which measures their contenders in turns.

Each case has new workers, so that no case suffers from another's leftovers. Outputs are compared before anything is
measured: both sides must do the same work. Failures are reported and left out, the rest is measured, and figures are
written after each case: hours may have gone into them.
"""

import importlib.util
import math
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from absl import flags

from benchmarks import commands
from benchmarks.speed.workers import OUT_OF_MEMORY, Failure, Outputs, Side, Worker, prepare_environment
from lpips_jax.core import cli
from lpips_jax.core.jax_environment import keep_compiled_programs

OURS = 'ours'
ROWS = 'released_recipe', 'eager_float32', 'eager_bf16', 'compiled_float32', 'compiled_bf16'
DEFAULT_ROWS = {
  'cpu': ('released_recipe', 'eager_float32', 'compiled_float32'),
  'gpu': ('released_recipe', 'eager_float32', 'eager_bf16', 'compiled_bf16'),
}
COMPILED_PREFIX = 'compiled'  # of the rows that use torch.compile
# 'reduce-overhead' uses CUDA graphs, as XLA does by default.
COMPILE_MODES = {'cpu': ('default',), 'gpu': ('default', 'reduce-overhead')}
ALL_COMPILE_MODES = 'default', 'reduce-overhead', 'max-autotune', 'max-autotune-no-cudagraphs'


@dataclass(frozen=True)
class Case:
  """A piece of work that both sides do.

  Attributes:
    group: cases of one group differ only in batch size; the best of them counts.
    batch_size: batch size of one run.
    examples: number of examples in one run.
    details: argument of `Comparison.ours` and `Comparison.reference`.
    beside: contenders of the reference that are measured but count for no ratio over PyTorch.
  """

  group: str
  batch_size: int
  examples: int
  details: Any
  beside: Sequence[str] = ()


@dataclass(frozen=True)
class Comparison:
  """A comparison of our code with PyTorch's.

  Attributes:
    cases: returns the cases for a platform, 'cpu' or 'gpu'.
    ours: makes our side from a case's details; importable, as it runs in a worker.
    reference: makes PyTorch's side from the details, our weights, contender names and torch.compile's mode; importable.
    unit: name of an example, in the plural.
    tolerances: maximum relative difference of outputs, for `float32` and `bf16`.
    compile_modes: torch.compile's modes by platform, unless flags choose others.
  """

  cases: Callable[[str], Sequence[Case]]
  ours: Callable[[Any], Side]
  reference: Callable[[Any, Any, Sequence[str], str], Side]
  unit: str
  tolerances: Mapping[str, float]
  compile_modes: Mapping[str, Sequence[str]] = field(default_factory=lambda: COMPILE_MODES)


@dataclass
class Measured:
  """Measurements of a case.

  Attributes:
    case: the case.
    compile_mode: torch.compile's mode.
    ready: seconds by contender until its first outputs: mostly compiling, unless programs were cached.
    differences: difference from our outputs by row: the greatest over all outputs, relative to the output's maximum.
    rates: examples per second in each round, by contender.
    failed: reason by contender without figures: out of memory, an error, no answer, or outputs that differ from ours.
  """

  case: Case
  compile_mode: str = COMPILE_MODES['cpu'][0]
  ready: dict[str, float] = field(default_factory=dict)
  differences: dict[str, float] = field(default_factory=dict)
  rates: dict[str, list[float]] = field(default_factory=dict)
  failed: dict[str, str] = field(default_factory=dict)


def define_flags() -> None:
  flags.DEFINE_string('output', None, 'JSON file for the figures.')
  flags.DEFINE_enum('device', 'auto', ['auto', 'cpu'], 'auto uses the accelerator, if there is one.')
  flags.DEFINE_list('rows', [], f'Rows of {", ".join(ROWS)}; by default those that suit the device.')
  flags.DEFINE_list('batch_sizes', [], 'Batch sizes, of which the best counts; by default those that suit the device.')
  flags.DEFINE_integer('rounds', 5, 'Number of rounds; contenders take turns in each.', lower_bound=1)
  flags.DEFINE_float('seconds', 2.0, 'Minimum seconds of a turn.', lower_bound=0.0)
  flags.DEFINE_float('patience', 900.0, 'Maximum seconds for compiling or a turn.', 1.0)
  flags.DEFINE_list('compile_modes', [], f"torch.compile's; the best counts: {', '.join(ALL_COMPILE_MODES)}.")
  flags.DEFINE_boolean('tiny', False, 'Networks of a few channels: to try the command, not to measure.')
  commands.register_choices('rows', ROWS, empty=True)
  commands.register_choices('compile_modes', ALL_COMPILE_MODES, empty=True)
  commands.register_numbers('batch_sizes', empty=True)


def compare(comparison: Comparison) -> None:
  """Measures all cases, prints a table and writes the figures; see `measure`.

  Raises:
    UserError: something failed for other reasons than memory; raised after everything else is measured.
  """
  figures = measure(comparison)
  print('\n' + table(figures))
  require_all(figures)


def require_all(figures: Mapping[str, Any]) -> None:
  """Raises UserError if a contender failed for other reasons than memory."""
  failures = [f'{case["group"]}, {name}: {why}' for case in figures['cases'] for name, why in case['failed'].items()]
  if any(OUT_OF_MEMORY not in line for line in failures):
    cli.fail('; '.join(failures))


def measure(comparison: Comparison) -> dict[str, Any]:
  """Measures all cases as the flags say; returns the figures of `summary`, and the devices and versions."""
  given = flags.FLAGS
  if importlib.util.find_spec('torch') is None:
    cli.fail("this needs PyTorch: pip install -e '.[convert]'")
  commands.require_directory_of(given.output)
  prepare_environment(given.device)
  keep_compiled_programs()
  with closing(Worker(_jax_alone, (), given.patience)) as probe:
    platform = probe.about()['platform']
  if platform not in DEFAULT_ROWS:
    cli.fail(f'PyTorch is measured on CPUs and NVIDIA GPUs, not on a {platform}: give --device=cpu')
  measured: list[Measured] = []
  about: dict[str, Any] = {}
  first, *others = given.compile_modes or comparison.compile_modes[platform]
  for case in comparison.cases(platform):
    names = [*rows(platform), *case.beside]
    compiled = [name for name in names if name.startswith(COMPILED_PREFIX)]
    for result in [Measured(case, first), *(Measured(case, mode) for mode in others if compiled)]:
      about = _measure_case(result, names if result.compile_mode == first else compiled, comparison) or about
      measured.append(result)
      print(f'{_title(result)}: {_line(result, comparison.unit)}', flush=True)
      figures = about | {'unit': f'{comparison.unit}/s', 'tiny': given.tiny} | summary(measured)
      commands.write_figures(given.output, figures)
  return figures


def rows(platform: str) -> Sequence[str]:
  """Returns PyTorch's rows as the flags choose them, the most tuned one last."""
  return [row for row in ROWS if row in (flags.FLAGS.rows or DEFAULT_ROWS[platform])]


def _measure_case(result: Measured, names: Sequence[str], comparison: Comparison) -> dict[str, Any]:
  """Fills in the result; returns the devices and versions of both sides, nothing if a side could not be made."""
  given, details = flags.FLAGS, result.case.details
  with closing(Worker(comparison.ours, (details,), given.patience)) as ours:
    try:
      about = ours.about()
      arguments = details, about.pop('weights'), names, result.compile_mode
    except Failure as failure:
      result.failed = dict.fromkeys([OURS, *names], str(failure))
      return {}
    with closing(Worker(comparison.reference, arguments, given.patience)) as reference:
      try:
        theirs = reference.about()
      except Failure as failure:
        result.failed = dict.fromkeys(names, str(failure))
        return {}
      if about['platform'] != theirs['platform']:
        cli.fail(
          f'JAX is on a {about["platform"]}, PyTorch on a {theirs["platform"]}: install both for the same device, or '
          'give --device=cpu'
        )
      workers = {OURS: ours} | dict.fromkeys(names, reference)
      _check(result, workers, about['platform'], comparison.tolerances)
      _measure(result, workers, given.rounds, given.seconds)
  return about | {'jax': about.pop('version'), 'torch': theirs['version'], 'cores': os.cpu_count()}


def _check(result: Measured, workers: Mapping[str, Worker], platform: str, tolerances: Mapping[str, float]) -> None:
  """Compares outputs with ours; contenders whose outputs differ are not measured."""
  expected = None
  for name, worker in workers.items():  # ours first
    begun = time.perf_counter()
    found = _guarded(result, name, worker.outputs, name)
    result.ready[name] = time.perf_counter() - begun
    print(f'{_title(result)}: {name} ready after {result.ready[name]:.0f} s', flush=True)
    if name == OURS:
      expected = found
    if name == OURS or expected is None or found is None:
      continue
    result.differences[name] = difference(expected, found)
    exact = platform == 'cpu' and 'bf16' not in name  # ours is in bfloat16 on a GPU
    if not result.differences[name] <= tolerances['float32' if exact else 'bf16']:
      result.failed[name] = f'{result.differences[name]:.2g} from ours: not the same work'


def difference(expected: Outputs, found: Outputs) -> float:
  """Returns the greatest difference of any output, relative to that output's maximum; NaN if anything is not finite.

  Raises:
    RuntimeError: the outputs have other names.
  """
  if expected.keys() != found.keys():
    raise RuntimeError(f'outputs are {", ".join(sorted(found))}, not {", ".join(sorted(expected))}')
  apart = [np.abs(np.float64(found[k]) - x).max() / np.abs(x).max().clip(1e-6) for k, x in expected.items()]
  return float(np.max(apart))


def _measure(result: Measured, workers: Mapping[str, Worker], rounds: int, seconds: float) -> None:
  """Measures all contenders in turns; every second round reverses the order."""
  repeats = {}
  for name, worker in workers.items():
    if name not in result.failed:
      once = _guarded(result, name, worker.seconds, name, 2)
      repeats[name] = max(1, math.ceil(2 * seconds / once)) if once else 0
  names = [name for name in repeats if name not in result.failed]
  result.rates = {name: [] for name in names}
  for turn in range(rounds):
    for name in names if turn % 2 == 0 else names[::-1]:
      took = _guarded(result, name, workers[name].seconds, name, repeats[name])
      if took:
        result.rates[name].append(result.case.examples * repeats[name] / took)
  result.rates = {name: rates for name, rates in result.rates.items() if name not in result.failed}


def _guarded(result: Measured, name: str, ask: Callable[..., Any], *arguments: Any) -> Any:
  """Asks a contender; returns None and records the reason if it fails or has failed."""
  if name in result.failed:
    return None
  try:
    return ask(*arguments)
  except Failure as failure:
    result.failed[name] = str(failure)
    return None


def _jax_alone() -> Side:
  import jax

  return Side(jax.default_backend(), '', jax.__version__, {})


def summary(measured: Sequence[Measured]) -> dict[str, Any]:
  """Returns the figures of all cases: the ratios, the best of each group, and every measurement.

  `ratios` are ours over each row, each at its best batch size, and `ratio` is ours over the fastest row. Both are
  geometric means over the groups, without the contenders in `beside`. `low` and `high` are over all rounds.
  """
  groups: dict[str, dict[str, dict[str, Any]]] = {}
  for result in measured:
    best = groups.setdefault(result.case.group, {})
    for name, rates in result.rates.items():
      entry: dict[str, Any] = {'median': statistics.median(rates), 'low': min(rates), 'high': max(rates)}
      entry['batch_size'] = result.case.batch_size
      if name.startswith(COMPILED_PREFIX):
        entry['compile_mode'] = result.compile_mode
      best[name] = max(best.get(name, entry), entry, key=lambda x: x['median'])
  ratios_of = {group: _ratios(best) for group, best in groups.items() if OURS in best and len(best) > 1}
  beside = {name for result in measured for name in result.case.beside}
  counted = [{name: ratio for name, ratio in of.items() if name not in beside} for of in ratios_of.values()]
  counted = [ratios for ratios in counted if ratios]
  names = [name for name in counted[0] if all(name in ratios for ratios in counted)] if counted else []
  return {
    'ratio': _geometric_mean([min(ratios.values()) for ratios in counted]),
    'ratios': {name: _geometric_mean([ratios[name] for ratios in counted]) for name in names},
    'groups': {group: {'best': best, 'ratios': ratios_of.get(group, {})} for group, best in groups.items()},
    'cases': [
      {
        'group': result.case.group,
        'batch_size': result.case.batch_size,
        'compile_mode': result.compile_mode,
        'ready_after_seconds': result.ready,
        'differences': result.differences,
        'rates': result.rates,
        'failed': result.failed,
      }
      for result in measured
    ],
  }


def table(figures: Mapping[str, Any]) -> str:
  """Returns a Markdown table with the best of each contender in each group."""
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
  mode = f', {result.compile_mode}' if result.compile_mode != Measured.compile_mode else ''
  return f'{result.case.group}, batch of {result.case.batch_size}{mode}'


def _line(result: Measured, unit: str) -> str:
  medians = [f'{name} {statistics.median(rates):.4g}' for name, rates in result.rates.items()]
  failed = [f'{name}: {why.splitlines()[0]}' for name, why in result.failed.items()]
  return '; '.join([f'{unit}/s: {", ".join(medians)}', *failed])
