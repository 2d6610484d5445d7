"""The corpus of one person: its last fifth is held out, and bad input is reported."""

import numpy as np
import pytest
from videos import face_frames, write_mp4

from data_pipeline import corpora, personal_corpus
from data_pipeline.records import text
from lpips_jax.core.errors import UserError
from lpips_jax.faces.detect import choose_detector

SECONDS = 4.0


@pytest.mark.parametrize('lengths', [[1000], [313, 500, 187], [40] * 25, [990, 10], [10, 990], [803, 197]])
def test_the_last_fifth_is_held_out_after_a_gap(lengths):
  starts = np.cumsum([0, *lengths])
  trained, held = set(), set()
  for split, record, first, last in personal_corpus.split_in_time(lengths):
    assert first % 5 == 0 and last - first >= personal_corpus.MIN_RECORD_FRAMES and last <= lengths[record]
    (trained if split == personal_corpus.TRAIN_SPLIT else held).update(
      range(starts[record] + first, starts[record] + last)
    )
  assert max(trained) + personal_corpus.GAP_FRAMES < min(held) and 800 <= min(held) < 800 + 40
  assert len(trained) > 800 - personal_corpus.GAP_FRAMES - 20 and len(held) > 200 - 40


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
  """Two videos of one person, 4 s and 4 s."""
  directory = tmp_path_factory.mktemp('videos')
  frames, samples = face_frames(0, SECONDS)
  return [write_mp4(directory / f'{name}.mp4', frames, samples) for name in 'ab']


@pytest.fixture
def short(monkeypatch):
  """Allows videos of a few seconds."""
  monkeypatch.setattr(personal_corpus, 'MIN_SECONDS', 5.0)


def prepare(videos, directory):
  return personal_corpus.prepare(videos, directory, 32, choose_detector('cascade'))


def test_videos_become_a_corpus_that_training_reads(videos, short, tmp_path, monkeypatch):
  person = prepare(videos, tmp_path)
  splits = {split: corpora.source('folder', split, str(tmp_path / 'data')) for split in ('train', 'val')}
  frames = {split: sum(len(source[i]['frames']) for i in range(len(source))) for split, source in splits.items()}
  assert frames == {'train': round(25 * person.training_seconds), 'val': round(25 * person.held_out_seconds)}
  assert frames == {'train': 200 - 40 - personal_corpus.GAP_FRAMES, 'val': 40}
  assert person.held_out_video == videos[1] and person.held_out_video_seconds == person.held_out_seconds
  assert all(text(splits['val'][i]['id']).startswith('0001/') for i in range(len(splits['val'])))

  monkeypatch.setattr(
    personal_corpus, 'cut_all', lambda todo, *_: (_ for _ in todo)
  )  # prepared videos are not cut again
  assert personal_corpus.is_prepared(tmp_path) and not personal_corpus.is_prepared(tmp_path / 'elsewhere')
  assert prepare(videos, tmp_path) == person
  with pytest.raises(UserError, match='was begun with other videos: use another directory'):
    prepare(videos[:1], tmp_path)


def test_bad_videos_are_reported(videos, tmp_path):
  silent = write_mp4(tmp_path / 'silent.mp4', [np.zeros((32, 32, 3), np.uint8)] * 30, None)
  (tmp_path / 'empty').mkdir()
  for given, problem in {
    'gone.mp4': 'gone.mp4 does not exist',
    str(tmp_path / 'empty'): 'holds no video',
    str(silent): 'has no sound track',
    str(videos[0].parent): '8 s long: give a minute or more, at least 20 s',
  }.items():
    with pytest.raises(UserError, match=problem):
      personal_corpus.find_videos([given])


def test_a_video_without_a_face_is_reported(short, tmp_path):
  nobody = write_mp4(tmp_path / 'v.mp4', [np.full((64, 64, 3), 90, np.uint8)] * 150, np.zeros(6 * 16000))
  with pytest.raises(UserError, match=r'0 s of the videos show a face .*no face was found'):
    prepare([nobody], tmp_path / 'run')
