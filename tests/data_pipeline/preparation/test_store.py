"""Prepared clips on disk: complete or absent, in one run at a time."""

import numpy as np
import pytest

from data_pipeline.preparation import store
from data_pipeline.preparation.store import ClipResult
from data_pipeline.records import encode_frame, make_record
from lpips_jax.core.errors import UserError


@pytest.fixture
def prepared(tmp_path):
  """A directory with one prepared clip."""
  jpegs = [encode_frame(np.full((16, 16, 3), 50 * k, np.uint8)) for k in range(5)]
  record = make_record('main/100/00001/0', '100', jpegs, np.zeros(3200, np.int16), np.zeros((5, 4)))
  result = ClipResult('main/100/00001', [record], [{'face': 16.0}], [('main/100/00001', 'a reason')], seconds=0.2)
  store.write_clip_result(tmp_path / 'prepared', result)
  return tmp_path / 'prepared', result


def test_a_result_comes_back(prepared):
  directory, result = prepared
  [record], [expected] = store.read_records(directory, result.clip), result.records
  assert record.keys() == expected.keys()
  for name in expected:
    np.testing.assert_array_equal(record[name], expected[name], err_msg=name)
  summary = store.read_summary(directory, result.clip)
  assert (summary.clip, summary.rejected, summary.seconds, summary.again) == (result.clip, result.rejected, 0.2, False)
  assert summary.records == [{'id': 'main/100/00001/0', 'speaker': '100', 'frames': 5, 'face': 16.0}]


def test_one_run_at_a_time(tmp_path):
  def work():
    return store.working_in(tmp_path / 'out', {'layout': 'lrs2'})

  (tmp_path / 'out').mkdir()
  for name in (store.LOCK, f'{store.SETTINGS}.part'):  # what a run leaves that is killed as it begins
    (tmp_path / 'out' / name).touch()
  with work(), pytest.raises(UserError, match='another run is at work'), work():
    pass
  with work():
    pass


def test_clips_that_failed_for_other_reasons_are_tried_again(tmp_path):
  (tmp_path / 'out').mkdir()
  for again in (True, False):
    store.write_clip_result(tmp_path / 'out', ClipResult('a/b', rejected=[('a/b', 'no memory')], again=again))
    assert store.is_done(tmp_path / 'out', 'a/b') != again


def test_damaged_and_unfinished_clips_are_noticed(prepared, tmp_path):
  prepared, result = prepared
  clip = result.clip
  assert store.is_done(prepared, clip) and not store.is_done(prepared, 'main/100/99999')
  file = store.clip_file(tmp_path, clip)
  file.parent.mkdir(parents=True)
  for content in (b'', store.clip_file(prepared, clip).read_bytes()[:-300]):
    file.write_bytes(content)
    assert not store.is_done(tmp_path, clip)
    with pytest.raises(UserError, match='is damaged: delete it'):
      store.read_records(tmp_path, clip)
  store.write_splits(tmp_path, {'train': [clip]})
  with pytest.raises(UserError, match='not prepared to the end'):
    store.read_splits(tmp_path)
