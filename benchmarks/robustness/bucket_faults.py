"""Training runs in a bucket that answers with errors, slowly, or not at all for a while.

  python -m benchmarks.robustness.bucket_faults --output=faults.json

A tiny run works in a bucket on loopback that turns bad again and again, from the moment at which the run begins to make
steps until it ends. It must end by itself, equal bit for bit to a run on this machine's disk, and make its steps
meanwhile. Last, two runs begin in one workdir at once: one of them must be refused.
"""

import json
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from absl import flags

from benchmarks import buckets, commands
from benchmarks.robustness.bucket_kills import STDERR, equal, logged, start, train
from lpips_jax.core import cli
from lpips_jax.storage import stores
from lpips_jax.storage.staging import staged
from lpips_jax.storage.transfer import upload

FAULTS: dict[str, dict[str, float]] = {  # what the server of `benchmarks.bucket_server` does, and for how many seconds
  '503': {'status': 503, 'seconds': 20},
  '429': {'status': 429, 'seconds': 20},
  'slow': {'delay': 0.5, 'seconds': 30},
  'silent': {'silent': 1, 'seconds': 60},
}
HEALTHY_SECONDS = 3.0  # between two faults
TASK = 'sync_expert'


def define_flags() -> None:
  flags.DEFINE_list('faults', list(FAULTS), 'Faults to try.')
  flags.DEFINE_integer('steps', 120, 'Number of steps of a run.', lower_bound=40)
  flags.DEFINE_string('output', None, 'JSON file for the figures.')
  commands.register_choices('faults', list(FAULTS))


def main() -> None:
  commands.require_directory_of(flags.FLAGS.output)
  steps, figures = flags.FLAGS.steps, {}
  with tempfile.TemporaryDirectory() as temporary:
    directory = Path(temporary)
    train(TASK, directory / 'first', 2, directory / 'data', '')  # draws the corpus
    undisturbed = train(TASK, directory / 'whole', steps, directory / 'data', '')
    with buckets.bucket('gs') as bucket, buckets.environment(bucket.for_copies(directory / 'copies')):
      upload(directory / 'data', f'{bucket.url}/data')
      for fault in flags.FLAGS.faults:
        found = train_amid(fault, bucket, directory / 'whole', steps)
        figures[fault] = found | {'seconds on a disk': round(undisturbed, 1)}
        print(json.dumps({fault: figures[fault]}), flush=True)
      figures['two at once'] = two_at_once(bucket.url, steps, directory)
      print(json.dumps({'two at once': figures['two at once']}), flush=True)
  commands.write_figures(flags.FLAGS.output, figures)


def train_amid(fault: str, bucket: buckets.Bucket, whole: Path, steps: int) -> dict[str, Any]:
  """Trains in a bucket while it turns bad again and again; compares what comes out with a local run."""
  workdir, ended = f'{bucket.url}/{fault}', threading.Event()
  times = []

  def turn_bad() -> None:
    while not stores.files_below(f'{workdir}/checkpoint') and not ended.wait(0.2):
      pass
    while not ended.wait(HEALTHY_SECONDS):
      times.append(time.monotonic())
      bucket.fault(**FAULTS[fault])
      ended.wait(FAULTS[fault]['seconds'])

  thread = threading.Thread(target=turn_bad)
  thread.start()
  try:
    seconds = train(TASK, workdir, steps, f'{bucket.url}/data', '')
  finally:
    ended.set()
    thread.join()
    bucket.fault(seconds=0)
  return {
    'faults': len(times),
    'seconds': round(seconds, 1),
    'equal bit for bit': equal(staged(f'{workdir}/checkpoint'), whole / 'checkpoint', steps),
    'each step logged once': logged(staged(workdir) / 'metrics.jsonl') == logged(whole / 'metrics.jsonl'),
  }


def two_at_once(url: str, steps: int, directory: Path) -> dict[str, Any]:
  """Starts two runs in one workdir, as two machines would; returns their statuses and the line of the one refused."""
  runs, lines = [], []
  for name in 'one', 'another':
    (directory / name).mkdir()
    with buckets.environment({'LIPSYNC_WORK': str(directory / name / 'work')}):
      runs.append(start(TASK, f'{url}/both', steps, f'{url}/data', '', directory / name))
  statuses = [run.wait() for run in runs]
  for name in 'one', 'another':
    lines += (directory / name / STDERR).read_text().splitlines()
  return {'statuses': sorted(status for status in statuses if status is not None), 'stderr': lines}


if __name__ == '__main__':
  define_flags()
  cli.run(main)
