"""Ours beside PyTorch: two worker processes of one parent, which measures what they hold in turns.

New ones for each case, so that none lives with what another left behind. Before anything is measured, outputs are
compared: both must do the same work. What fails is said and left out, the rest is measured, and figures are kept at
once: hours may have gone into them.
"""

import importlib.util
import json
import math
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from benchmarks import commands
from benchmarks.workers import TOO_LITTLE, Failure, Outputs, Side, Worker, prepare_environment
from lpips_jax.core import cli
from lpips_jax.core.files import write_whole
from lpips_jax.core.jax_environment import keep_compiled_programs

OURS = 'ours'
ROWS = 'released_recipe', 'eager_float32', 'eager_bf16', 'compiled_float32', 'compiled_bf16'
DEFAULT_ROWS = {
  'cpu': ('released_recipe', 'eager_float32', 'compiled_float32'),
  'gpu': ('released_recipe', 'eager_float32', 'eager_bf16', 'compiled_bf16'),
}
COMPILED = 'compiled'  # how the names of rows begin that torch.compile makes
# 'reduce-overhead' is CUDA graphs, which XLA has by default.
COMPILE_MODES = {'cpu': ('default',), 'gpu': ('default', 'reduce-overhead')}
ALL_COMPILE_MODES = 'default', 'reduce-overhead', 'max-autotune', 'max-autotune-no-cudagraphs'


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


@dataclass(frozen=True)
class Comparison:
  """What is compared.

  Attributes:
    cases: says what to measure on a platform, 'cpu' or 'gpu'.
    ours: makes our side of a case's details; run in a process of its own, and so importable.
    reference: likewise PyTorch's, of details, our weights, names of contenders and torch.compile's mode.
    unit: of an example, in the plural.
    tolerances: how far outputs may be from ours, by the type of numbers: `float32` and `bf16`.
    compile_modes: of torch.compile, by platform, unless flags say others.
  """

  cases: Callable[[str], Sequence[Case]]
  ours: Callable[[Any], Side]
  reference: Callable[[Any, Any, Sequence[str], str], Side]
  unit: str
  tolerances: Mapping[str, float]
  compile_modes: Mapping[str, Sequence[str]] = field(default_factory=lambda: COMPILE_MODES)


@dataclass
class Measured:
  """Attributes:
  case: what was measured.
  compile_mode: torch.compile's.
  ready: by contender, seconds until its first outputs: most of them compiling, where nothing was kept from before.
  differences: by row, how far outputs are from ours: the greatest difference of any, over its greatest value.
  rates: by contender, examples a second in each round.
  failed: by contender, why it has no figures: too little memory, an error, no answer, or other outputs than ours.
  """

  case: Case
  compile_mode: str = COMPILE_MODES['cpu'][0]
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
  flags.DEFINE_float('patience', 900.0, 'Seconds that compiling, or a turn, may take before it is given up.', 1.0)
  flags.DEFINE_list('compile_modes', [], f"torch.compile's, the best counts: of {', '.join(ALL_COMPILE_MODES)}.")
  flags.DEFINE_boolean('tiny', False, 'Networks of a few channels: to try the command out, not to measure.')
  commands.register_choices('rows', ROWS, empty=True)
  commands.register_choices('compile_modes', ALL_COMPILE_MODES, empty=True)
  commands.register_numbers('batch_sizes', empty=True)


def compare(comparison: Comparison) -> None:
  """Measures all cases, prints a table and writes the figures; see `measure`.

  Raises:
    UserError: something failed for other reasons than memory; it is told after all the rest.
  """
  figures = measure(comparison)
  print('\n' + table(figures))
  require_all(figures)


def require_all(figures: Mapping[str, Any]) -> None:
  """Raises UserError if anything has no figures for other reasons than memory."""
  told = [f'{case["group"]}, {name}: {why}' for case in figures['cases'] for name, why in case['failed'].items()]
  if any(TOO_LITTLE not in line for line in told):
    cli.fail('; '.join(told))


def measure(comparison: Comparison) -> dict[str, Any]:
  """Measures all cases as the flags say, and returns the figures: `summary`'s, and what they were measured on."""
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
  measured, about = [], {}
  first, *others = given.compile_modes or comparison.compile_modes[platform]
  for case in comparison.cases(platform):
    names = [*rows(platform), *case.beside]
    compiled = [name for name in names if name.startswith(COMPILED)]
    for result in [Measured(case, first), *(Measured(case, mode) for mode in others if compiled)]:
      about = _measure_case(result, names if result.compile_mode == first else compiled, comparison) or about
      measured.append(result)
      print(f'{_title(result)}: {_line(result, comparison.unit)}', flush=True)
      figures = about | {'unit': f'{comparison.unit}/s', 'tiny': given.tiny} | summary(measured)
      if given.output:
        write_whole(Path(given.output), json.dumps(figures, indent=2) + '\n')
  return figures


def rows(platform: str) -> Sequence[str]:
  """PyTorch's, as the flags say; the last is the one that is tuned most."""
  return [row for row in ROWS if row in (flags.FLAGS.rows or DEFAULT_ROWS[platform])]


def _measure_case(result: Measured, names: Sequence[str], comparison: Comparison) -> dict[str, Any]:
  """Fills in the result; returns what there is to say of the sides, which is nothing where they could not be made."""
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
  """Compares outputs with ours; those that are not of the same work are not measured."""
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
  """The greatest difference of any output, over the greatest value of that output; NaN if anything is not finite."""
  if expected.keys() != found.keys():
    raise RuntimeError(f'outputs are {", ".join(sorted(found))}, and not {", ".join(sorted(expected))}')
  apart = [np.abs(np.float64(found[k]) - x).max() / np.abs(x).max().clip(1e-6) for k, x in expected.items()]
  return float(np.max(apart))


def _measure(result: Measured, workers: Mapping[str, Worker], rounds: int, seconds: float) -> None:
  """Rounds in which each contender has a turn; turns go the other way round every second time."""
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
  """The answer; None for a contender that has failed, which is noted."""
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
      if name.startswith(COMPILED):
        entry['compile_mode'] = result.compile_mode
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
  mode = f', {result.compile_mode}' if result.compile_mode != Measured.compile_mode else ''
  return f'{result.case.group}, batch of {result.case.batch_size}{mode}'


def _line(result: Measured, unit: str) -> str:
  medians = [f'{name} {statistics.median(rates):.4g}' for name, rates in result.rates.items()]
  failed = [f'{name}: {why.splitlines()[0]}' for name, why in result.failed.items()]
  return '; '.join([f'{unit}/s: {", ".join(medians)}', *failed])
