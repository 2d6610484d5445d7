"""Preparation on a cluster: set-up of its workers. That it makes the same clips is tested in `test_preprocess`."""

import os

import pytest

from data_pipeline.preparation.cluster import cut_on_cluster
from data_pipeline.preparation.layouts import RawClip
from data_pipeline.preparation.store import ClipResult
from lpips_jax.core.errors import UserError


def test_workers_that_share_a_gpu_do_not_reserve_all_of_it(tmp_path, monkeypatch):
  monkeypatch.delenv('XLA_PYTHON_CLIENT_PREALLOCATE', raising=False)

  def make_sync_filter():
    (tmp_path / 'found').write_text(os.environ.get('XLA_PYTHON_CLIENT_PREALLOCATE', ''))
    return lambda result: result

  clips = [RawClip('a', 'one', 'train', tmp_path / 'a.mp4')]
  cut_on_cluster(clips, lambda raw: ClipResult(raw.id), make_sync_filter, tmp_path / 'out', 'DirectRunner')
  assert (tmp_path / 'found').read_text() == 'false'


def test_unknown_runners_are_reported(tmp_path):
  with pytest.raises(UserError, match='beam_runner=NoSuchRunner: '):
    cut_on_cluster([], lambda raw: ClipResult(raw.id), lambda: lambda result: result, tmp_path, 'NoSuchRunner')
