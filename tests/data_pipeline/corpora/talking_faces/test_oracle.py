"""True frames of foreign words and of silence: everything stays as it was but the lips."""

import numpy as np
import pytest

from data_pipeline.corpora.talking_faces.clips import clip_record, draw_clip
from data_pipeline.corpora.talking_faces.oracle import redrawn, true_frames
from data_pipeline.input import decode_clip
from lpips_jax.core.errors import UserError
from lpips_jax.faces.mouth import mouth_opening, opening_correlation

SIZE, SECONDS = 48, 2.0


@pytest.fixture(scope='module')
def records():
  return [clip_record(4, 'test', speaker, 1, SECONDS, SIZE) for speaker in range(2)]


def test_own_words_give_the_record(records):
  own, small = decode_clip(records[0], SIZE), decode_clip(records[0], 32)
  np.testing.assert_array_equal(true_frames(records[0], own, SIZE), own.frames)
  np.testing.assert_array_equal(true_frames(records[0], small, 32), small.frames)


def test_foreign_words_move_only_the_mouth(records):
  own, other = (decode_clip(record, SIZE) for record in records)
  dubbed = true_frames(records[0], other, SIZE)
  upper = slice(0, SIZE // 3)
  assert np.abs(dubbed[:, upper].astype(int) - own.frames[:, upper]).mean() < 0.5
  assert opening_correlation(dubbed, other.mouth_opening) > 0.9
  assert abs(opening_correlation(dubbed, own.mouth_opening)) < 0.5


def test_silence_shuts_the_mouth(records):
  own = decode_clip(records[0], SIZE)
  silent = true_frames(records[0], None, SIZE)
  opening = mouth_opening(silent, own.frames)
  assert opening.max() < 0.1 * mouth_opening(own.frames).max()
  at_rest = own.mouth_opening == 0
  assert at_rest.any() and not at_rest.all()
  off = np.abs(silent.astype(int) - own.frames)[:, SIZE // 2 :].mean((1, 2, 3))
  assert off[at_rest].max() < off[own.mouth_opening > 0.3].min()


def test_a_name_says_which_clip_it_is(records):
  drawn, again = draw_clip(4, 'test', 1, 1, SECONDS), redrawn(records[1]['id'], 50)
  assert again.speaker == drawn.speaker
  np.testing.assert_array_equal(again.audio, drawn.audio)


def test_records_of_another_version_are_not_dubbed(records):
  with pytest.raises(UserError, match='delete talking_faces'):
    true_frames(records[0] | {'mouth_opening': np.roll(records[0]['mouth_opening'], 1)}, None, SIZE)
