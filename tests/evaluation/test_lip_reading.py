"""Errors of lip readers, by one that reads what is painted into frames."""

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from lpips_jax.audio.alphabets import ALPHABETS, spelled
from lpips_jax.audio.phones import PHONES
from lpips_jax.evaluation import Candidate, lip_reading
from lpips_jax.evaluation.lip_reading import errors, said_by
from lpips_jax.evaluation.scorers import Scorers

SIZE = 8
MEL = np.zeros((40, 80), np.float32)


class ReadsBrightness:
  """Takes a frame as bright as n / 255 for the label n; past a clip's length it reads `b`, of which nobody may hear."""

  fingerprint = 'brightness'

  def __init__(self, alphabet):
    self.config = ConfigDict({'model': {'alphabet': alphabet, 'image_size': SIZE}})
    self.shapes = []

  def __call__(self, frames, length):
    self.shapes.append(frames.shape)
    labels = np.rint(255 * np.asarray(frames).mean((2, 3, 4))).astype(int)
    labels[0, length[0] :] = 3
    return 50 * jax.nn.one_hot(labels, len(ALPHABETS[self.config.model.alphabet]))  # quite sure


def painted(alphabet, symbols):
  """Frames that say a symbol each, '' for the blank."""
  labels = np.array([ALPHABETS[alphabet].index(symbol) for symbol in symbols], np.uint8)
  return np.broadcast_to(labels[:, None, None, None], (len(labels), SIZE, SIZE, 3)).copy()


def saying(frames, sounds=None, seconds=0.04, **others):
  ends = None if sounds is None else np.rint(200 * seconds * np.arange(1, len(sounds) + 1)).astype(np.int32)
  return Candidate(frames, MEL, sounds=sounds, sound_ends=ends, **others)


def read(alphabet, candidate, name=''):
  return errors(name, ReadsBrightness(alphabet), candidate.frames / np.float32(255), candidate)


def test_sounds_are_counted_as_phonemes_and_as_visemes():
  frames = painted('sounds', ['', 'm', 'm', '', 'a', 's', 's', 't', 'a', 'a'])
  said = 'b', 'a', 's', 's', 'a'  # m is taken for b; one of two s is lost, and a t added
  found = read('sounds', saying(frames, said))
  assert found == {'phoneme_error': 2 / 5, 'phoneme_count': 5, 'viseme_error': 1 / 4, 'viseme_count': 4}
  perfect = read('sounds', saying(painted('sounds', ['b', '', 'a', 's', '', 's', 'a']), said))
  assert perfect['phoneme_error'] == perfect['viseme_error'] == 0


def test_sounds_count_whose_middle_is_seen():
  frames = painted('sounds', ['m'] * 10)  # 0.4 s
  assert spelled(said_by(saying(frames, ('', 'm', 'a'), 0.15), 'sounds'), 'sounds') == ('m', 'a')
  assert spelled(said_by(saying(frames, ('', 'm', 'a'), 0.17), 'sounds'), 'sounds') == ('m',)


def test_readers_of_visemes_are_judged_by_visemes_alone():
  frames = painted('visemes', ['p', 'a', 'a', 'k', 'u', '', '', ''])
  found = read('visemes', saying(frames, ('b', 'a', 'g', 'k', 'o')), 'second')
  assert found == {'viseme_error_by_second': 1 / 4, 'viseme_count_by_second': 4}  # k and g are one long viseme


def test_characters_and_words():
  frames = painted('characters', [*'BIN', ' ', *'BLU', '', *'E'])
  found = read('characters', saying(frames, text='Bin blue, now!'))
  assert found == {'character_error': 4 / 12, 'character_count': 12, 'word_error': 1 / 3, 'word_count': 3}


@pytest.mark.parametrize('alphabet', ALPHABETS)
def test_lips_of_which_nobody_knows_what_they_say_are_not_judged(alphabet):
  assert read(alphabet, saying(painted('sounds', ['m'] * 9))) == {}
  if alphabet != 'visemes':  # which phones tell
    assert read(alphabet, saying(painted('sounds', ['m'] * 9), phones=np.ones(29, np.int8))) == {}


def test_silence_has_no_errors():
  assert read('sounds', saying(painted('sounds', ['m'] * 9), ('', ''))) == {}


def test_visemes_of_real_speech_are_those_of_its_phones(monkeypatch):
  phones, audio = np.repeat([PHONES.index('M'), PHONES.index('AA')], 40).astype(np.int8), np.ones(16000, np.int16)
  monkeypatch.setattr(lip_reading, 'recognise_phones', lambda sound: phones if sound[0] == 1 / 32768 else None)
  frames = painted('visemes', ['a'] * 25)
  for known in ({'phones': phones}, {'audio': audio}):
    assert spelled(said_by(saying(frames, **known), 'visemes'), 'visemes') == ('p', 'a')


def test_a_clip_is_read_whole_and_in_seconds_of_frames():
  reader = ReadsBrightness('sounds')
  for frames, seconds in ((9, 1), (25, 1), (26, 2)):
    candidate = saying(painted('sounds', ['m'] * frames), ('m',))
    assert Scorers(readers={'': reader}).score(candidate)['phoneme_error'] == 0
    assert reader.shapes.pop() == (1, 25 * seconds, SIZE, SIZE, 3) and not reader.shapes


def test_scorers_say_what_readers_add():
  readers = {'first': ReadsBrightness('sounds'), 'second': ReadsBrightness('characters')}
  scorers = Scorers(readers=readers)
  added = [column.title for measure, column in scorers.columns.items() if measure not in Scorers().columns]
  units = [('phoneme', 'first'), ('viseme', 'first'), ('character', 'second'), ('word', 'second')]
  assert added == [f'{unit} error, {name}' for unit, name in units]
  assert set(scorers.unmet) == set(scorers.columns) - set(Scorers().columns)
  assert 'only talking_faces' in str(scorers.unmet['phoneme_error_by_first'])
  assert 'transcript' in str(scorers.unmet['word_error_by_second'])
  assert scorers.cache_key == {'reader first': 'brightness', 'reader second': 'brightness'}
