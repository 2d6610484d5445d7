"""Estimates from a compiled step: memory, arithmetic, traffic, least time, largest batch, cost, and a table of them."""

from collections.abc import Callable
from importlib import metadata
from typing import Any

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from lpips_jax.planning import collectives, hardware, programs
from lpips_jax.planning.programs import Program

COLLECTIVE_LATENCY = 10e-6  # seconds assumed for a small collective, whatever the number of chips
Estimates = dict[str, Any]  # by name, ready for JSON


def estimate_step(
  config: ConfigDict, mesh: Mesh, program: Program, parameters: dict[str, int], flops: float | None
) -> Estimates:
  """Returns everything known about a step by name, ready for JSON; None for what the compiler does not report.

  `flops_per_step` is the sum over all chips, everything else is per chip. Sizes are in bytes, times in seconds.

  Args:
    config: the config of the step: task, model.dtype, data.batch_size, accumulate and remat are read.
    mesh: the devices.
    program: the step, compiled for them.
    parameters: the number of parameters of each network, by its name.
    flops: the operations that the step needs, on all devices together, if known.
  """
  chips, device = mesh.devices.size, mesh.devices.flat[0]
  chip = hardware.chip(device.device_kind)
  looped = config.accumulate > 1  # XLA's own sums then count one round of the loop
  all_reduces = [each for each in program.traffic.collectives if each.kind == 'all-reduce']
  kinds = collectives.totals(program.traffic.collectives)
  number, size = kinds.get('all-reduce', (0, 0))
  result = {
    'task': config.task,
    'chips': chips,
    'device_kind': device.device_kind,
    'jax': jax.__version__,
    'libtpu': _version('libtpu') if device.platform == 'tpu' else None,
    'compile_seconds': program.seconds,
    'parameters': parameters,
    'dtype': config.model.dtype,
    'batch_size': config.data.batch_size,
    'batch_per_chip': config.data.batch_size // chips,
    'accumulate': config.accumulate,
    'remat': config.remat,
    'flops_per_step': flops,
    'flops_per_chip': None if looped else program.flops,
    'bytes_accessed_per_chip': None if looped else program.bytes_accessed,
    'memory_traffic_per_chip': program.memory_traffic,
    'memory_traffic_padding': program.padding,
    'memory_per_chip': program.memory,
    'peak_bytes_per_chip': program.memory and program.memory['peak'],
    'chip_memory_bytes': chip and chip.memory,
    'all_reduces': number,
    'all_reduce_bytes': size,
    'collectives': {kind: {'number': n, 'bytes': b} for kind, (n, b) in kinds.items()},
    'loops_of_unknown_length': program.traffic.unknown_loops,
    'large_all_reduces': _totals([each for each in all_reduces if each.size >= programs.SMALL_COLLECTIVE_BYTES]),
    'small_all_reduces': _totals([each for each in all_reduces if each.size < programs.SMALL_COLLECTIVE_BYTES]),
    'serial_small_collectives': program.traffic.chain,
  }
  return result | {'floor': least_time(result, chip) if chip else None}


def largest_batch(
  config: ConfigDict,
  mesh: Mesh,
  program: Program,
  compile_at: Callable[[int], Program],
  verify: bool,
  together: int = 1,
) -> Estimates:
  """Estimates the largest batch that fits each chip, by a line through the peak memory at two batch sizes.

  The second batch is four times that of the config if that should fit, else twice or half of it. Near the limit the
  compiler may do better than the line, because it recomputes what it cannot keep.

  Args:
    config: the config of the step: data.batch_size and accumulate are read.
    mesh: the devices.
    program: the step, compiled for the config's batch.
    compile_at: compiles it for another number of examples per chip; raises `programs.OutOfMemory`.
    verify: whether to compile it for the largest batch.
    together: examples that stay on one chip: the windows of a clip, where the batch has whole clips.

  Returns:
    `largest_batch` and `largest_batch_per_chip`, None if memory is not known; `largest_batch_from`, the peaks by batch
    per chip, only one if the second batch does not fit; and with `verify` `largest_batch_fits` and, if it does,
    `largest_batch_peak_bytes`.
  """
  chips = mesh.devices.size
  chip = hardware.chip(mesh.devices.flat[0].device_kind)
  if program.memory is None or chip is None:
    return {'largest_batch': None, 'largest_batch_per_chip': None}
  per_chip, parts, peak = config.data.batch_size // chips, config.accumulate * together, program.memory['peak']
  other = next((n * per_chip for n in (4, 2) if n * peak < chip.memory), per_chip // 2 // parts * parts)
  points = {per_chip: peak} | _peak_at(compile_at, other or 2 * per_chip)
  largest = _extrapolated(points, chip.memory) // parts * parts
  result = {'largest_batch': largest * chips, 'largest_batch_per_chip': largest, 'largest_batch_from': points}
  if not (verify and largest):
    return result
  peaks = _peak_at(compile_at, largest)
  fits = bool(peaks) and peaks[largest] <= chip.memory
  return result | {'largest_batch_fits': fits} | ({'largest_batch_peak_bytes': peaks[largest]} if fits else {})


def least_time(estimates: Estimates, chip: hardware.Chip) -> Estimates:
  """Returns the least seconds that a step can take for each resource, and together; None for what is not known.

  Args:
    estimates: from `estimate_step`.
    chip: the data sheet of the devices.

  Returns:
    `arithmetic`, `memory`, `link` and `latency`; `overlapped` and `in_turn`, the time of a step if everything overlaps
    and if nothing does; and `binds`, the name of the resource that takes longest.
  """
  flops, chips = estimates['flops_per_chip'], estimates['chips']
  turns = {'all-reduce': 2, 'reduce-scatter': chips}  # how often the result of each chip goes around the ring
  sent = (chips - 1) / chips * sum(turns.get(kind, 1) * x['bytes'] for kind, x in estimates['collectives'].items())
  if flops is None and estimates['flops_per_step'] is not None:
    flops = estimates['flops_per_step'] / chips
  times = {
    'arithmetic': flops / chip.flops if flops is not None else None,
    'memory': estimates['memory_traffic_per_chip'] / chip.bandwidth,
    'link': sent / chip.link if chip.link else None,
    'latency': estimates['serial_small_collectives'] * COLLECTIVE_LATENCY if chips > 1 else 0.0,
  }
  known = {name: seconds for name, seconds in times.items() if seconds is not None}
  binds = max(known, key=lambda name: known[name])
  # The step waits for statistics, so nothing hides their latency; gradients can travel while others are computed.
  hidden = max(seconds for name, seconds in known.items() if name != 'latency')
  return times | {'overlapped': hidden + known['latency'], 'in_turn': sum(known.values()), 'binds': binds}


def cost(estimates: Estimates, steps: int, seconds_per_step: float | None = None) -> Estimates:
  """Returns the chip-hours of a run's steps; evaluations, saves and compilation come on top.

  Args:
    estimates: from `estimate_step`.
    steps: of the run.
    seconds_per_step: as measured, if it was.

  Returns:
    `steps`; `least_chip_hours`, a lower bound, as no step is faster than `floor['overlapped']`, None without a data
    sheet; `seconds_per_step`; and `chip_hours`, which follow from it, None if it is not given.
  """
  floor = estimates['floor']

  def hours(seconds: float | None) -> float | None:
    return None if seconds is None else steps * seconds * estimates['chips'] / 3600

  return {
    'steps': steps,
    'least_chip_hours': hours(floor and floor['overlapped']),
    'seconds_per_step': seconds_per_step,
    'chip_hours': hours(seconds_per_step),
  }


def table(estimates: Estimates) -> str:
  """Returns a line for each estimate: its name, and its value with unit and meaning.

  Args:
    estimates: from `estimate_step`, with `topology`, `level`, and what `largest_batch` and `cost` return, if called.
  """
  rows = [*_step_rows(estimates), *_memory_rows(estimates), *_traffic_rows(estimates), *_time_rows(estimates)]
  rows += _cost_rows(estimates) if 'steps' in estimates else []
  width = max(len(name) for name, _ in rows) + 2
  return '\n'.join(f'{name:{width}}{value}'.rstrip() for name, value in rows)


Rows = list[tuple[str, str]]


def _step_rows(step: Estimates) -> Rows:
  versions = f'jax {step["jax"]}' + (f', libtpu {step["libtpu"]}' if step['libtpu'] else '')
  rows = [
    ('topology', f'{step["topology"]}: {step["chips"]} x {step["device_kind"]}'),
    ('compiled in', f'{step["compile_seconds"]:.0f} s, level {step["level"]} ({versions})'),
    *((f'parameters, {name}', f'{count:,}') for name, count in step['parameters'].items()),
    ('batch', f'{step["batch_size"]:,}, {step["batch_per_chip"]:,} a chip' + _parts(step)),
    ('networks compute in', step['dtype'] + (', rematerialised' if step['remat'] else '')),
    ('arithmetic, a step', _operations(step['flops_per_step'], 'all chips together, each operation once')),
  ]
  per_chip = _unknown(step) if step['flops_per_chip'] is None else _operations(step['flops_per_chip'], 'as compiled')
  return [*rows, ('arithmetic, a chip', per_chip)]


def _memory_rows(step: Estimates) -> Rows:
  if step['memory_per_chip'] is None:
    return [('memory, a chip', 'not reported by the compiler')]
  rows = [(f'memory, a chip, {name}', _bytes(size)) for name, size in step['memory_per_chip'].items()]
  if not step['chip_memory_bytes']:
    return [*rows, ('memory of a chip', f'not known for {step["device_kind"]}, so neither is the largest batch')]
  share = step['peak_bytes_per_chip'] / step['chip_memory_bytes']
  rows.append(('memory of a chip', f'{_bytes(step["chip_memory_bytes"])}; the peak is {share:.0%} of it'))
  if 'largest_batch' not in step:
    return rows
  points = ' and '.join(f'{n} a chip ({_bytes(peak)})' for n, peak in sorted(step['largest_batch_from'].items()))
  largest = f'about {step["largest_batch"]:,}, {step["largest_batch_per_chip"]:,} a chip'
  rows.append(('largest batch', f'{largest}: on a line through {points}'))
  if 'largest_batch_fits' in step:
    peak = f' ({_bytes(step["largest_batch_peak_bytes"])})' if 'largest_batch_peak_bytes' in step else ''
    rows.append(('largest batch, compiled', ('fits' if step['largest_batch_fits'] else 'does not fit') + peak))
  return rows


def _traffic_rows(step: Estimates) -> Rows:
  if not step['collectives']:
    return [('traffic between chips', 'none')]
  rows = [(f'{kind}, a step', f'{x["number"]:,} of {_bytes(x["bytes"])}') for kind, x in step['collectives'].items()]
  for size in ('large', 'small'):
    x = step[f'{size}_all_reduces']
    limit = _bytes(programs.SMALL_COLLECTIVE_BYTES)
    what = 'gradients' if size == 'large' else f'less than {limit} each: statistics, losses'
    dtypes = ', '.join(f'{_bytes(n)} {dtype}' for dtype, n in x['bytes_by_dtype'].items())
    rows.append((f'{size} all-reduces', f'{x["number"]:,} ({what})' + (f': {dtypes}' if dtypes else '')))
  rows.append(('small ones, in a chain', f'{step["serial_small_collectives"]:,}, each after the one before'))
  if step['loops_of_unknown_length']:
    rows.append(('', 'a loop of unknown length also sends; it counts as one round'))
  return rows


def _time_rows(step: Estimates) -> Rows:
  floor = step['floor']
  if not floor:
    return [('least time', f'not known: no data sheet of {step["device_kind"]}')]
  moved, padding = _bytes(step['memory_traffic_per_chip']), _bytes(step['memory_traffic_padding'])
  names = {
    'arithmetic': 'all operations at the peak rate of bfloat16',
    'memory': f'{moved} to and from memory at full bandwidth, {padding} of them padding of tiles',
    'link': 'everything sent around a ring, all links at full speed',
    'latency': f'{COLLECTIVE_LATENCY * 1e6:.0f} us assumed for each small collective of the chain',
  }
  rows = [
    (f'time, {name}', f'{_milliseconds(floor[name])} ({what})' if floor[name] is not None else _unknown(step))
    for name, what in names.items()
  ]
  overlapped, in_turn = _milliseconds(floor['overlapped']), _milliseconds(floor['in_turn'])
  summary = f'{overlapped} if everything overlaps, {in_turn} if nothing does; {floor["binds"]} binds'
  return [*rows, ('least time, a step', summary)]


def _cost_rows(step: Estimates) -> Rows:
  least, measured, floor = step['least_chip_hours'], step['chip_hours'], step['floor']
  rows = [('cost, at least', _chip_hours(step, least, floor['overlapped']))] if least is not None else []
  if measured is not None:
    rows.append(('cost, as measured', _chip_hours(step, measured, step['seconds_per_step'])))
  return rows or [('cost', 'not known: measure a step, and give --seconds_per_step')]


def _chip_hours(step: Estimates, hours: float, seconds: float) -> str:
  amount = f'{hours:,.1f}' if hours >= 1 else f'{hours:.2g}'
  return f'{amount} chip-hours: {step["steps"]:,} steps of {_milliseconds(seconds)} on {step["chips"]:,} chips'


def _peak_at(compile_at: Callable[[int], Program], per_chip: int) -> dict[int, int]:
  """Returns {examples per chip: peak memory}; an empty dict if they do not fit."""
  try:
    memory = compile_at(per_chip).memory
  except programs.OutOfMemory:
    return {}
  return {} if memory is None else {per_chip: memory['peak']}


def _extrapolated(points: dict[int, int], limit: float) -> int:
  """Returns where the line through one or two points reaches the limit; the larger point if the line does not rise."""
  (few, low), (many, high) = min(points.items()), max(points.items())
  return int(few + (limit - low) * (many - few) / (high - low)) if high > low else many


def _totals(all_reduces: list[collectives.Collective]) -> Estimates:
  sizes = collectives.bytes_by_dtype(all_reduces)
  return {'number': sum(each.times for each in all_reduces), 'bytes': sum(sizes.values()), 'bytes_by_dtype': sizes}


def _parts(step: Estimates) -> str:
  return f', in {step["accumulate"]} parts' if step['accumulate'] > 1 else ''


def _unknown(step: Estimates) -> str:
  reason = ': only one round of the loop (config.accumulate) is counted' if step['accumulate'] > 1 else ''
  return f'not known{reason}'


def _operations(flops: float | None, what: str) -> str:
  if flops is None:
    return 'not known'
  return (f'{flops / 1e12:.3f} TFLOP' if flops > 1e11 else f'{flops / 1e9:.3f} GFLOP') + f', {what}'


def _bytes(size: float) -> str:
  for unit, scale in (('GB', 1e9), ('MB', 1e6), ('kB', 1e3)):
    if size >= scale:
      return f'{size / scale:.2f} {unit}'
  return f'{size:.0f} B'


def _milliseconds(seconds: float) -> str:
  return f'{1e3 * seconds:.2f} ms'


def _version(package: str) -> str | None:
  try:
    return metadata.version(package)
  except metadata.PackageNotFoundError:
    return None
