"""Phone tracks are laid out as mel spectrograms are, and do not depend on the level of the speech."""

import itertools

import numpy as np
import pytest

from data_pipeline.corpora.talking_faces.articulation import as_phones
from data_pipeline.corpora.talking_faces.clips import draw_clip
from lpips_jax.audio import phones
from lpips_jax.audio.mel import mel_windows, melspectrogram
from lpips_jax.audio.phones import LOUDNESS_COLUMN, PHONES, phone_track, recognise_phones, silent_track


@pytest.fixture(scope='module')
def speech():
  return draw_clip(0, 'test', 0, 0, 2.0).audio.astype(np.float32) / 32768


def test_a_phone_is_heard_at_each_row_of_the_mel(speech):
  pytest.importorskip('pocketsphinx')
  heard = recognise_phones(speech)
  assert heard.shape == (len(melspectrogram(speech)),) and heard.dtype == np.int8
  assert heard.min() >= 0 and heard.max() < len(PHONES)
  assert len(np.unique(heard)) > 4  # something is heard in speech,
  assert (recognise_phones(np.zeros(16000, np.float32)) == 0).mean() > 0.9  # and nothing in silence
  np.testing.assert_array_equal(recognise_phones(speech), heard)  # whatever was heard before


def test_long_speech_is_cut_where_it_is_quiet(monkeypatch):
  monkeypatch.setattr(phones, 'PIECE_SECONDS', 1)
  rng = np.random.default_rng(0)
  samples = (3000 * rng.standard_normal(16000 * 4)).astype('<i2')
  samples[17600:19200] = 0
  pieces = list(phones._pieces(samples))
  assert pieces[0][0] == 0 and pieces[-1][1] == len(samples)
  assert all(a[1] == b[0] for a, b in itertools.pairwise(pieces))
  assert 17600 <= pieces[0][1] <= 19200


def test_a_track_tells_which_phone_and_how_loud_at_any_level(speech):
  heard = np.arange(len(melspectrogram(speech))) % len(PHONES)
  track, quiet = (phone_track(heard, melspectrogram(gain * speech)) for gain in (1.0, 0.1))
  assert track.shape == (len(heard), 80) and track.min() >= 0 and track.max() <= 1
  np.testing.assert_array_equal(track[:, :LOUDNESS_COLUMN].argmax(1), heard)
  np.testing.assert_array_equal(track[:, :LOUDNESS_COLUMN].sum(1), 1)
  assert np.corrcoef(track[:, LOUDNESS_COLUMN], quiet[:, LOUDNESS_COLUMN])[0, 1] > 0.98
  assert track[:, LOUDNESS_COLUMN].max() == 1 and track[:, LOUDNESS_COLUMN].min() < 0.5


def test_silence_is_the_track_of_silence():
  mel = melspectrogram(np.zeros(16000, np.float32))
  np.testing.assert_array_equal(phone_track(np.zeros(len(mel), np.int8), mel), silent_track(len(mel)))
  assert mel_windows(silent_track(20), 25, 3).shape == (3, 80, 16)


def test_phonemes_are_heard_as_phones_that_look_the_same():
  names = np.array(['m', 'm', 'a', 'a', 'a', '', 'sh'])
  heard = as_phones(names, np.random.default_rng(0))
  assert [PHONES[k] for k in heard[[0, 1, 5]]] == ['M', 'M', '']
  assert len(set(heard[2:5])) == 1 and PHONES[heard[2]] in ('AA', 'AY', 'AW')
  assert PHONES[heard[6]] in ('SH', 'ZH', 'CH', 'JH')
