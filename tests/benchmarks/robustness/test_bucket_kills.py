"""Training in buckets, through SIGKILLs; at length by `python -m benchmarks.robustness.bucket_kills`."""

from pathlib import Path

import pytest

from benchmarks import buckets
from benchmarks.robustness import bucket_kills
from lpips_jax.storage.transfer import upload

STEPS, KILLS = 80, 5


@pytest.fixture(scope='module')
def undisturbed(directory) -> dict[str, Path]:
  """Trains both tasks on this machine's disk; returns their workdirs."""
  expert = directory / 'sync_expert' / 'checkpoint'
  workdirs = {task: directory / f'whole_{task}' for task in bucket_kills.TASKS}
  for task, workdir in workdirs.items():
    bucket_kills.train(task, workdir, STEPS, directory / 'data', expert)
  return workdirs


@pytest.mark.slow
@pytest.mark.parametrize('task', bucket_kills.TASKS)
@pytest.mark.parametrize('store', ['gs', 's3'])
def test_a_run_in_a_bucket_survives_kills_bit_for_bit(store, task, directory, undisturbed, request):
  bucket = request.getfixturevalue(f'{store}_bucket')
  upload(directory / 'data', f'{bucket.url}/data')
  upload(directory / 'sync_expert' / 'checkpoint', f'{bucket.url}/expert/checkpoint')
  with buckets.environment(bucket.environment):
    found = bucket_kills.kill_and_compare(bucket.url, task, undisturbed[task], STEPS, KILLS, seed=0)
  assert found['equal bit for bit'] and found['each step logged once']
  assert any(found['steps in the bucket after each kill'])
