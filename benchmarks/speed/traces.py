"""Times of XLA's kernels, read from the traces of JAX's profiler."""

import gzip
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any


def kernel_seconds(directory: Path) -> dict[str, float]:
  """Sums the durations of all events of each HLO instruction.

  On a GPU only its streams count: its other lines repeat them, and the host's lines are kernel launches.

  Args:
    directory: the directory given to `jax.profiler.trace`.

  Returns:
    Seconds by name of the instruction.
  """
  total: Counter[str] = Counter()
  for path in directory.glob('plugins/profile/*/*.trace.json.gz'):
    with gzip.open(path) as file:
      total.update(seconds_of_events(json.load(file)['traceEvents']))
  return dict(total)


def seconds_of_events(events: list[dict[str, Any]]) -> dict[str, float]:
  """Sums the durations of one trace's events, which are in microseconds, by HLO instruction."""
  processes, lines = {}, {}
  for event in events:
    if event.get('ph') == 'M' and event.get('name') == 'process_name':
      processes[event['pid']] = event['args']['name']
    elif event.get('ph') == 'M' and event.get('name') == 'thread_name':
      lines[event['pid'], event['tid']] = event['args']['name']
  gpus = {pid for pid, name in processes.items() if name.startswith('/device:GPU')}
  total: Counter[str] = Counter()
  for event in events:
    name = event.get('args', {}).get('hlo_op') if event.get('ph') == 'X' else None
    line = lines.get((event.get('pid'), event.get('tid')), '')
    if name and (not gpus or (event['pid'] in gpus and re.match(r'Stream #', line))):
      total[name] += event['dur'] / 1e6
  return dict(total)
