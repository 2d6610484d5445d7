"""What follows from a compiled step: figures by name, the largest batch, the least time, and a table of it all."""

from collections.abc import Callable
from importlib import metadata
from typing import Any

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from lpips_jax.planning import collectives, hardware, programs
from lpips_jax.planning.programs import Program

LATENCY = 10e-6  # seconds, assumed of a small collective, whatever the number of chips
Figures = dict[str, Any]


def figures(
  config: ConfigDict, mesh: Mesh, program: Program, parameters: dict[str, int], flops: float | None
) -> Figures:
  """Returns all that is known of a step by name, ready for JSON; None is what the compiler does not tell.

  `flops_per_step` is of all chips together, everything else of each. Bytes are as such, times in seconds.

  Args:
    config: of the run.
    mesh: the devices.
    program: the step, compiled for them.
    parameters: of each network, by its name.
    flops: what the step has to compute, on all devices together, if known.
  """
  chips, device = mesh.devices.size, mesh.devices.flat[0]
  chip = hardware.chip(device.device_kind)
  looped = config.accumulate > 1  # whose bodies XLA's own counts take for one round
  reduces = [one for one in program.traffic.collectives if one.kind == 'all-reduce']
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
    'large_all_reduces': _summary([one for one in reduces if one.size >= programs.SMALL]),
    'small_all_reduces': _summary([one for one in reduces if one.size < programs.SMALL]),
    'serial_small_collectives': program.traffic.chain,
  }
  return result | {'floor': _floor(result, chip) if chip else None}


def largest_batch(
  config: ConfigDict, mesh: Mesh, program: Program, compile_at: Callable[[int], Program], verify: bool
) -> Figures:
  """Estimates the largest batch that fits each chip, on a line through the peaks at two batches.

  The second is four times the config's where that should fit, twice, or half. The compiler may do better than the line
  near the limit, by making again what it does not keep.

  Args:
    config: of the run.
    mesh: the devices.
    program: the step at the config's batch.
    compile_at: compiles it at another one, of so many examples a chip; raises `programs.OutOfMemory`.
    verify: whether to compile it at the largest batch.

  Returns:
    `largest_batch` and `largest_batch_per_chip`, None where memory is not known; `largest_batch_from`, the peaks by
    batch of each chip, of which there is one if the second is too much; and with `verify` `largest_batch_fits` and, if
    it does, `largest_batch_peak_bytes`.
  """
  chips = mesh.devices.size
  chip = hardware.chip(mesh.devices.flat[0].device_kind)
  if program.memory is None or chip is None:
    return {'largest_batch': None, 'largest_batch_per_chip': None}
  here, parts, peak = config.data.batch_size // chips, config.accumulate, program.memory['peak']
  fits = next((n * here for n in (4, 2) if n * peak < chip.memory), here // 2 // parts * parts)
  points = {here: peak} | _peak(compile_at, fits or 2 * here)
  most = _on_a_line(points, chip.memory) // parts * parts
  result = {'largest_batch': most * chips, 'largest_batch_per_chip': most, 'largest_batch_from': points}
  if not (verify and most):
    return result
  peaks = _peak(compile_at, most)
  fits = bool(peaks) and peaks[most] <= chip.memory
  return result | {'largest_batch_fits': fits} | ({'largest_batch_peak_bytes': peaks[most]} if fits else {})


def table(figures: Figures) -> str:
  """Returns the figures as lines of a name, a value with its unit, and what it means."""
  rows = [*_what(figures), *_memory(figures), *_traffic(figures), *_time(figures)]
  width = max(len(name) for name, _ in rows) + 2
  return '\n'.join(f'{name:{width}}{value}'.rstrip() for name, value in rows)


Rows = list[tuple[str, str]]


def _what(f: Figures) -> Rows:
  versions = f'jax {f["jax"]}' + (f', libtpu {f["libtpu"]}' if f['libtpu'] else '')
  rows = [
    ('topology', f'{f["topology"]}: {f["chips"]} x {f["device_kind"]}'),
    ('compiled in', f'{f["compile_seconds"]:.0f} s, level {f["level"]} ({versions})'),
    *((f'parameters, {name}', f'{count:,}') for name, count in f['parameters'].items()),
    ('batch', f'{f["batch_size"]:,}, of each chip {f["batch_per_chip"]:,}' + _parts(f)),
    ('networks compute in', f['dtype'] + (', rematerialised' if f['remat'] else '')),
    ('arithmetic, a step', _operations(f['flops_per_step'], 'all chips together, each operation once')),
  ]
  of_chip = _unknown(f) if f['flops_per_chip'] is None else _operations(f['flops_per_chip'], 'as compiled')
  return [*rows, ('arithmetic, a chip', of_chip)]


def _memory(f: Figures) -> Rows:
  if f['memory_per_chip'] is None:
    return [('memory, a chip', 'the compiler does not tell')]
  rows = [(f'memory, a chip, {name}', _bytes(size)) for name, size in f['memory_per_chip'].items()]
  if not f['chip_memory_bytes']:
    return [*rows, ('memory of a chip', f'not known of {f["device_kind"]}; nor how large a batch fits')]
  share = f['peak_bytes_per_chip'] / f['chip_memory_bytes']
  rows.append(('memory of a chip', f'{_bytes(f["chip_memory_bytes"])}, of which the peak is {share:.0%}'))
  if 'largest_batch' not in f:
    return rows
  points = ' and '.join(f'{n} a chip ({_bytes(peak)})' for n, peak in sorted(f['largest_batch_from'].items()))
  most = f'about {f["largest_batch"]:,}, of each chip {f["largest_batch_per_chip"]:,}'
  rows.append(('largest batch', f'{most}: on a line through {points}'))
  if 'largest_batch_fits' in f:
    peak = f' ({_bytes(f["largest_batch_peak_bytes"])})' if 'largest_batch_peak_bytes' in f else ''
    rows.append(('largest batch, compiled', ('fits' if f['largest_batch_fits'] else 'does not fit') + peak))
  return rows


def _traffic(f: Figures) -> Rows:
  if not f['collectives']:
    return [('traffic between chips', 'none')]
  rows = [(f'{kind}, a step', f'{x["number"]:,} of {_bytes(x["bytes"])}') for kind, x in f['collectives'].items()]
  for size in ('large', 'small'):
    x = f[f'{size}_all_reduces']
    what = 'gradients' if size == 'large' else f'less than {_bytes(programs.SMALL)} each: statistics, losses'
    dtypes = ', '.join(f'{_bytes(n)} {dtype}' for dtype, n in x['bytes_by_dtype'].items())
    rows.append((f'{size} all-reduces', f'{x["number"]:,} ({what})' + (f': {dtypes}' if dtypes else '')))
  rows.append(('small ones, in a chain', f'{f["serial_small_collectives"]:,}, each after the one before'))
  if f['loops_of_unknown_length']:
    rows.append(('', 'a loop of unknown length sends, too; it is counted as one round'))
  return rows


def _time(f: Figures) -> Rows:
  floor = f['floor']
  if not floor:
    return [('least time', f'not known: no data sheet of {f["device_kind"]}')]
  moved, padding = _bytes(f['memory_traffic_per_chip']), _bytes(f['memory_traffic_padding'])
  names = {
    'arithmetic': 'all of it at the peak of bfloat16',
    'memory': f'{moved} to and from memory at full bandwidth, of which {padding} are padding of tiles',
    'link': 'all that is sent, around a ring, all links at full speed',
    'latency': f'{LATENCY * 1e6:.0f} us assumed of each small collective of the chain',
  }
  rows = [
    (f'time, {name}', f'{_milliseconds(floor[name])} ({what})' if floor[name] is not None else _unknown(f))
    for name, what in names.items()
  ]
  least, most = _milliseconds(floor['overlapped']), _milliseconds(floor['in_turn'])
  return [*rows, ('least time, a step', f'{least} if all overlaps, {most} if nothing does; {floor["binds"]} binds')]


def _floor(f: Figures, chip: hardware.Chip) -> Figures:
  """The least seconds that a step can take by each of its needs; those that are not known count as none."""
  flops, chips = f['flops_per_chip'], f['chips']
  ways = {'all-reduce': 2, 'reduce-scatter': chips}  # how often round the ring what each chip ends up with has to go
  sent = (chips - 1) / chips * sum(ways.get(kind, 1) * x['bytes'] for kind, x in f['collectives'].items())
  if flops is None and f['flops_per_step'] is not None:
    flops = f['flops_per_step'] / chips
  times = {
    'arithmetic': flops / chip.flops if flops is not None else None,
    'memory': f['memory_traffic_per_chip'] / chip.bandwidth,
    'link': sent / chip.link if chip.link else None,
    'latency': f['serial_small_collectives'] * LATENCY if chips > 1 else 0.0,
  }
  known = {name: seconds for name, seconds in times.items() if seconds is not None}
  binds = max(known, key=known.get)
  # Statistics are waited for, so their latency hides behind nothing; gradients can travel while others are computed.
  hidden = max(seconds for name, seconds in known.items() if name != 'latency')
  return times | {'overlapped': hidden + known['latency'], 'in_turn': sum(known.values()), 'binds': binds}


def _peak(compile_at: Callable[[int], Program], per_chip: int) -> dict[int, int]:
  """The peak at so many examples a chip, by their number; nothing if they do not fit."""
  try:
    return {per_chip: compile_at(per_chip).memory['peak']}
  except programs.OutOfMemory:
    return {}


def _on_a_line(points: dict[int, int], limit: float) -> int:
  """Where the line through one or two points reaches the limit, or the more of them if it does not rise."""
  (few, low), (many, high) = min(points.items()), max(points.items())
  return int(few + (limit - low) * (many - few) / (high - low)) if high > low else many


def _summary(reduces: list[collectives.Collective]) -> Figures:
  sizes = collectives.bytes_by_dtype(reduces)
  return {'number': sum(one.times for one in reduces), 'bytes': sum(sizes.values()), 'bytes_by_dtype': sizes}


def _parts(f: Figures) -> str:
  return f', in {f["accumulate"]} parts' if f['accumulate'] > 1 else ''


def _unknown(f: Figures) -> str:
  return 'not known: of a loop (config.accumulate) one round is counted' if f['accumulate'] > 1 else 'not known'


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
