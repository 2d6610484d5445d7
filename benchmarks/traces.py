"""Reads what JAX's profiler wrote: the time of XLA's kernels."""

import gzip
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any


def kernel_seconds(directory: Path) -> dict[str, float]:
  """Returns the seconds of all events together that say of which HLO instruction they are, by its name.

  Where there is a GPU only its streams count: its other lines repeat them, and the host's are of launching kernels.

  Args:
    directory: what `jax.profiler.trace` was given.
  """
  total = Counter()
  for path in directory.glob('plugins/profile/*/*.trace.json.gz'):
    with gzip.open(path) as file:
      total.update(of_events(json.load(file)['traceEvents']))
  return dict(total)


def of_events(events: list[dict[str, Any]]) -> dict[str, float]:
  """The same of a trace's events, whose durations are in microseconds."""
  processes, lines = {}, {}
  for event in events:
    if event.get('ph') == 'M' and event.get('name') == 'process_name':
      processes[event['pid']] = event['args']['name']
    elif event.get('ph') == 'M' and event.get('name') == 'thread_name':
      lines[event['pid'], event['tid']] = event['args']['name']
  gpus = {pid for pid, name in processes.items() if name.startswith('/device:GPU')}
  total = Counter()
  for event in events:
    name = event.get('args', {}).get('hlo_op') if event.get('ph') == 'X' else None
    line = lines.get((event.get('pid'), event.get('tid')), '')
    if name and (not gpus or (event['pid'] in gpus and re.match(r'Stream #', line))):
      total[name] += event['dur'] / 1e6
  return dict(total)
