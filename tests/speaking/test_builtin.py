"""The built-in voice: its times, its level, its determinism, and whether a recogniser makes out what it says."""

import itertools
import re

import numpy as np
import pytest

from benchmarks.quality.voices import distance
from lpips_jax.audio.loudness import speech_level
from lpips_jax.audio.phones import PHONES, recognise_phones
from lpips_jax.core.errors import UserError
from lpips_jax.speaking import builtin
from lpips_jax.speaking.builtin import LEVEL

QUIET = -70.0  # dB of full scale: above the hiss of the voice's silence, below all of its sounds
TEXT = 'Stop. My baby brother bought a big blue boat, with 20 dollars!'


@pytest.fixture(scope='module')
def utterance():
  return builtin.say(TEXT)


def level(samples):
  """The level of samples in dB of full scale."""
  return 10 * np.log10(np.mean(np.square(samples / 32768.0)) + 1e-12)


def test_cues_are_the_words_of_the_text(utterance):
  assert ''.join(cue.text for cue in utterance.cues) == TEXT
  assert [cue.text.strip() for cue in utterance.cues] == TEXT.split()
  assert all(0 <= cue.begin < cue.end <= len(utterance.samples) / utterance.sample_rate for cue in utterance.cues)
  assert all(a.end <= b.begin for a, b in itertools.pairwise(utterance.cues))


def test_words_sound_when_their_cues_say_so(utterance):
  """It is loud from 50 ms after the beginning of a word that follows a pause, and quiet until 50 ms before it."""
  samples, rate = utterance.samples, utterance.sample_rate
  for cue in utterance.cues[0], utterance.cues[1], utterance.cues[9]:
    begin = round(cue.begin * rate)
    assert level(samples[begin - rate // 10 : begin - rate // 50]) < QUIET
    assert level(samples[begin : begin + rate // 20]) > QUIET + 10
  for cue in utterance.cues[0], utterance.cues[-1]:
    end = round(cue.end * rate)
    assert level(samples[end - rate // 20 : end]) > QUIET + 3
    assert level(samples[end + rate // 20 : end + rate // 10]) < QUIET


def test_its_level_is_that_of_speech(utterance):
  assert utterance.samples.dtype == np.int16 and utterance.sample_rate == 16000
  assert speech_level(utterance.samples.astype(np.float32) / 32768) == pytest.approx(LEVEL, abs=1.0)
  assert np.abs(utterance.samples).max() < 32767


def test_the_same_text_gives_the_same_samples(utterance):
  builtin.say('Something else.')
  np.testing.assert_array_equal(builtin.say(TEXT).samples, utterance.samples)


def test_marks_pause_and_stress_is_longer():
  plain, marked = (len(builtin.say(text).samples) for text in ('one two three four', 'one, two. Three — four'))
  assert marked > plain + 16000 * 0.8
  words = {cue.text.strip(): cue.end - cue.begin for cue in builtin.say('the sea and the sky. For he can see me.').cues}
  assert words['see'] > 1.2 * words['he']


SAID = {
  'We see six ships at sea.': 'W IY S IY S IH K S SH IH P S AE T S IY',
  'A cup of hot coffee is ready.': 'AH K AH P AH V HH AA T K AO F IY IH Z R EH D IY',
  'She shows Joe how this machine works.': 'SH IY SH OW Z JH OW HH AW DH IH S M AH SH IY N W ER K S',
}


def test_a_recogniser_tells_sentences_apart():
  """Its phones are nearer to what was said than to any other sentence; it was trained on people."""
  pytest.importorskip('pocketsphinx')
  for text in SAID:
    rows = recognise_phones(builtin.say(text).samples.astype(np.float32) / 32768)
    heard = [PHONES[row] for row, _ in itertools.groupby(rows) if row]
    errors = {other: distance(heard, phones.split()) / len(phones.split()) for other, phones in SAID.items()}
    assert min(errors, key=errors.__getitem__) == text and errors[text] < 0.8, errors


def test_text_without_marks_breathes():
  utterance = builtin.say('so we go ' * 20)
  quiet = np.abs(utterance.samples[: len(utterance.samples) // 160 * 160].reshape(-1, 160)).max(1) < 300
  assert re.search('1{8,}', ''.join('01'[int(silent)] for silent in quiet[30:-30]))


def test_long_words_and_many_words_take_little():
  utterance = builtin.say('a' * 400)
  assert len(utterance.cues) == 1 and len(utterance.samples) / utterance.sample_rate < 100


@pytest.mark.parametrize('language', ['en', 'en-us', 'en_GB', 'EN'])
def test_english_of_any_country_is_english(language):
  assert builtin.say('Hi.', language).cues


def test_other_languages_are_refused():
  with pytest.raises(UserError, match='builtin speaks English only: for language=de use voice=espeak') as error:
    builtin.say('Guten Tag', 'de')
  assert error.value.options == ('language', 'voice')


@pytest.mark.parametrize('text', ['gh', "'", '\u0301 a'])
def test_text_of_few_sounds_is_said_or_refused(text):
  try:
    assert builtin.say(text).cues
  except UserError as error:
    assert 'nothing to say' in str(error)


def test_its_phones_follow_one_another_to_the_end_of_the_sound(utterance):
  ends = np.array([end for _, end in utterance.phones])
  assert (np.diff(ends, prepend=0) > 0).all() and ends[-1] == len(utterance.samples) / utterance.sample_rate


def test_phones_sound_when_they_say_so():
  said = builtin.say('A map.')
  names = [phone for phone, _ in said.phones]
  assert ''.join(names) == 'AHMAEP'
  level = np.square(said.samples.astype(float))
  begins = [0.0, *(end for _, end in said.phones)]
  power = [
    level[round(begin * 16000) : round(end * 16000)].mean()
    for begin, (_, end) in zip(begins, said.phones, strict=False)
  ]
  assert names[0] == names[-1] == '' and max(power[0], power[-1]) < 0.05 * power[names.index('AE')]
