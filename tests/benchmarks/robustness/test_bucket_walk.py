"""The whole way in a bucket; also in S3 by `python -m benchmarks.robustness.bucket_walk --store=s3`."""

import pytest

from benchmarks.robustness import bucket_walk


@pytest.mark.slow
def test_the_whole_way_in_a_bucket_leaves_what_it_leaves_on_a_disk(gs_bucket, tmp_path):
  found = bucket_walk.walk_and_compare(gs_bucket, tmp_path)
  assert list(found) == list(bucket_walk.OUTPUTS)
  assert all(figures['files'] and not figures['differing'] for figures in found.values()), found


def test_what_differs_is_named(tmp_path):
  """Times and the names of places may differ, nothing else; a missing file differs, too."""
  walks = bucket_walk.Walks(tmp_path / 'disk', tmp_path / 'copy', 'gs://bucket/walk')
  for root, name, pace in ((walks.disk, walks.disk, 2.5), (walks.copy, walks.url, 7.5)):
    (root / 'runs').mkdir(parents=True)
    (root / 'runs' / 'metrics.jsonl').write_text(
      f'{{"step": 1, "kind": "train", "loss": 0.5, "steps_per_second": {pace}, "wall": {pace}}}\n'
    )
    (root / 'runs' / 'config.json').write_text(f'"{name}/data"')
  assert walks.compare('runs') == ({'runs/metrics.jsonl', 'runs/config.json'}, [])

  (walks.copy / 'runs' / 'metrics.jsonl').write_text('{"step": 1, "kind": "train", "loss": 0.6}\n')
  (walks.copy / 'runs' / 'config.json').unlink()
  assert walks.compare('runs')[1] == ['runs/config.json', 'runs/metrics.jsonl']
