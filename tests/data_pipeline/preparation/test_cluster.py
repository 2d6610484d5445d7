"""Preparation on a cluster: set-up of its workers. That it makes the same clips is tested in `test_preprocess`."""

import os

import pytest

from data_pipeline.preparation import store
from data_pipeline.preparation.cluster import cut_on_cluster
from data_pipeline.preparation.layouts import RawClip
from data_pipeline.preparation.store import ClipResult
from lpips_jax.core.errors import UserError
from lpips_jax.storage import stores


def test_workers_that_share_a_gpu_do_not_reserve_all_of_it(tmp_path, monkeypatch):
  monkeypatch.delenv('XLA_PYTHON_CLIENT_PREALLOCATE', raising=False)

  def make_sync_filter():
    (tmp_path / 'found').write_text(os.environ.get('XLA_PYTHON_CLIENT_PREALLOCATE', ''))
    return lambda result: result

  clips = [RawClip('a', 'one', 'train', tmp_path / 'a.mp4')]
  cut_on_cluster(clips, lambda raw: ClipResult(raw.id), make_sync_filter, tmp_path / 'out', 'DirectRunner')
  assert (tmp_path / 'found').read_text() == 'false'


def test_a_bucket_that_cannot_be_written_to_is_reported_in_a_line(tmp_path):
  def cut(raw):
    raise UserError('gs://bucket/out cannot be written to (no right)')

  clips = [RawClip('a', 'one', 'train', tmp_path / 'a.mp4')]
  with pytest.raises(UserError, match=r'^DirectRunner gave up: gs://bucket/out cannot be written to \(no right\)'):
    cut_on_cluster(clips, cut, lambda: lambda result: result, tmp_path / 'out', 'DirectRunner')


def test_a_clip_that_fails_once_or_is_written_twice_is_the_same(tmp_path, gs_bucket):
  """As runners do that give a clip to another worker."""
  clips = [RawClip('a', 'one', 'train', tmp_path / 'a.mp4')]

  def cut(raw):
    return ClipResult(raw.id, rejected=[(raw.id, 'a reason')])

  written = []
  for _ in range(2):
    cut_on_cluster(2 * clips, cut, lambda: lambda result: result, gs_bucket.url, 'DirectRunner')
    written.append(stores.read(f'{gs_bucket.url}/clips/a.npz'))
  assert written[0] == written[1] and store.is_done(gs_bucket.url, 'a')


def test_unknown_runners_are_reported(tmp_path):
  with pytest.raises(UserError, match='beam_runner=NoSuchRunner: '):
    cut_on_cluster([], lambda raw: ClipResult(raw.id), lambda: lambda result: result, tmp_path, 'NoSuchRunner')
