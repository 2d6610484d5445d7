"""Prepared clips on disk and in buckets: complete or absent, in one run at a time."""

from io import BytesIO

import numpy as np
import pytest

from data_pipeline.preparation import store
from data_pipeline.preparation.store import ClipResult
from data_pipeline.records import Word, encode_frame, make_record
from lpips_jax.core.errors import UserError
from lpips_jax.storage import files, leases, stores


@pytest.fixture(params=['here', 'gs_bucket', 's3_bucket'])
def place(request, tmp_path):
  return tmp_path / 'prepared' if request.param == 'here' else request.getfixturevalue(request.param).url


@pytest.fixture
def prepared(place):
  """A directory with one prepared clip."""
  jpegs = [encode_frame(np.full((16, 16, 3), 50 * k, np.uint8)) for k in range(5)]
  said = {'text': 'Où?', 'words': [Word('OÙ', 0.04, 0.12)]}
  record = make_record('main/100/00001/0', '100', jpegs, np.zeros(3200, np.int16), np.zeros((5, 4)), **said)
  result = ClipResult('main/100/00001', [record], [{'face': 16.0}], [('main/100/00001', 'a reason')], seconds=0.2)
  store.write_clip_result(place, result)
  return place, result


def test_a_result_comes_back(prepared):
  directory, result = prepared
  [record], [expected] = store.read_records(directory, result.clip), result.records
  assert record.keys() == expected.keys()
  for name in expected:
    np.testing.assert_array_equal(record[name], expected[name], err_msg=name)
  summary = store.read_summary(directory, result.clip)
  assert (summary.clip, summary.rejected, summary.seconds, summary.again) == (result.clip, result.rejected, 0.2, False)
  assert summary.records == [{'id': 'main/100/00001/0', 'speaker': '100', 'frames': 5, 'face': 16.0}]


def test_results_of_versions_without_transcripts_are_read(prepared):
  directory, result = prepared
  path = store.clip_file(directory, result.clip)
  with np.load(BytesIO(files.read(path))) as stored:
    older = {name: array for name, array in stored.items() if not name.endswith('/transcript')}
  assert len(older) < len(stored.files)
  content = BytesIO()
  np.savez(content, **older)
  files.write(path, content.getvalue())
  [record] = store.read_records(directory, result.clip)
  assert record['text'] == '' and record['words'] == []


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


def test_one_run_at_a_time_in_a_bucket(gs_bucket, monkeypatch):
  monkeypatch.setattr(leases, 'RENEWAL_SECONDS', 0.1)

  def work():
    return store.working_in(gs_bucket.url, {'layout': 'lrs2'})

  with work(), pytest.raises(UserError, match=r'another run, on .*, is at work in gs://'), work():
    pass
  with work():
    assert store.read_settings(gs_bucket.url) == {'layout': 'lrs2'}
  with pytest.raises(UserError, match='other settings'), store.working_in(gs_bucket.url, {'layout': 'lrw'}):
    pass


def test_a_directory_with_something_else_is_left_alone(place):
  files.write(store.join(place, 'notes.txt'), 'notes')
  with pytest.raises(UserError, match='is not empty'), store.working_in(place, {'layout': 'lrs2'}):
    pass
  assert files.read(store.join(place, 'settings.json')) is None


def test_clips_that_failed_for_other_reasons_are_tried_again(place):
  for again in (True, False):
    store.write_clip_result(place, ClipResult('a/b', rejected=[('a/b', 'no memory')], again=again))
    assert store.is_done(place, 'a/b') != again


def test_many_clips_are_written_at_once_and_all_are_there_afterwards(place):
  names = [f'{k:03d}' for k in range(80)]
  with store.writing(place) as write:
    for name in names:
      write(ClipResult(name, rejected=[(name, 'a reason')]))
  summaries = store.read_summaries(place, [*names, 'none'])
  assert list(summaries) == names and summaries['007'].rejected == [('007', 'a reason')]


def test_a_bucket_that_cannot_be_read_does_not_look_empty(prepared, gs_bucket, monkeypatch):
  place, result = prepared

  def fail(*_, **__):
    raise PermissionError('no right')

  monkeypatch.setattr(stores.file_system(gs_bucket.url), 'cat_file', fail)
  if str(place).startswith('gs://'):
    with pytest.raises(UserError, match='cannot be read'):
      store.is_done(place, result.clip)


def test_summaries_in_a_bucket_take_one_small_request(gs_bucket, monkeypatch):
  """A record of some hundred kilobytes, and one with more rejections than the first bytes hold."""
  jpegs = [encode_frame(np.random.default_rng(k).integers(0, 255, (64, 64, 3), np.uint8)) for k in range(25)]
  record = make_record('long/0', '100', jpegs, np.zeros(640 * 25, np.int16), np.zeros((25, 4)))
  store.write_clip_result(gs_bucket.url, ClipResult('long', [record], [{'face': 16.0}]))
  many = [(f'many/{k}', 'a reason') for k in range(2000)]
  store.write_clip_result(gs_bucket.url, ClipResult('many', rejected=many))
  system, requests = stores.file_system(gs_bucket.url), []
  cat_file = system.cat_file

  def counted(*given, **named):
    content = cat_file(*given, **named)
    requests.append(len(content))
    return content

  monkeypatch.setattr(system, 'cat_file', counted)
  assert store.read_summary(gs_bucket.url, 'long').records[0]['frames'] == 25
  assert requests == [store.HEAD_BYTES]
  assert store.read_summary(gs_bucket.url, 'many').rejected == many
  assert len(requests) == 3


def test_damaged_and_unfinished_clips_are_noticed(prepared, tmp_path):
  prepared, result = prepared
  clip = result.clip
  assert store.is_done(prepared, clip) and not store.is_done(prepared, 'main/100/99999')
  file = store.clip_file(tmp_path, clip)
  for content in (b'', files.read(store.clip_file(prepared, clip))[:-300]):
    files.write(file, content)
    assert not store.is_done(tmp_path, clip)
    with pytest.raises(UserError, match='is damaged: delete it'):
      store.read_records(tmp_path, clip)
  store.write_splits(tmp_path, {'train': [clip]})
  with pytest.raises(UserError, match='not prepared to the end'):
    store.read_splits(tmp_path)
