"""espeak-ng's voices: times against the sound itself, languages, variants, determinism."""

import itertools
import sys

import numpy as np
import pytest

from lpips_jax.audio.visemes import OF_PHONE
from lpips_jax.core.errors import UserError
from lpips_jax.speaking import espeak, espeak_process

TEXT = 'Paul bought ten books. Then, in 1984, he sold <b>them</b> & left.'


@pytest.fixture(scope='module')
def utterance():
  pytest.importorskip('espeakng_loader')
  return espeak.say(TEXT)


def test_cues_are_the_words_of_the_text(utterance):
  assert ''.join(cue.text for cue in utterance.cues) == TEXT
  assert [cue.text.strip() for cue in utterance.cues][:7] == TEXT.split()[:7]
  assert all(a.end <= b.begin for a, b in itertools.pairwise(utterance.cues))
  assert utterance.cues[-1].end <= len(utterance.samples) / utterance.sample_rate
  assert utterance.voice.startswith('espeak-ng 1.') and utterance.voice.endswith(', en-us')


def test_words_sound_when_their_cues_say_so(utterance):
  """Around the pause between the sentences, energy begins and ends within 50 ms of the cues."""
  samples, rate = utterance.samples.astype(np.float64), utterance.sample_rate
  books, then = utterance.cues[3], utterance.cues[4]
  assert (books.text, then.text) == ('books. ', 'Then, ')
  hop = rate // 200
  loud = np.sqrt(np.mean(samples[: len(samples) // hop * hop].reshape(-1, hop) ** 2, 1)) > 100
  middle = round((books.end + then.begin) / 2 * 200)
  assert not loud[middle]
  end = 1 + np.flatnonzero(loud[:middle])[-1]
  begin = middle + np.flatnonzero(loud[middle:])[0]
  assert abs(end / 200 - books.end) < 0.05 and abs(begin / 200 - then.begin) < 0.05
  assert then.begin - books.end > 0.2


def test_the_same_text_gives_the_same_samples(utterance):
  espeak.say('She hisses.', 'f3', 'de')
  again = espeak.say(TEXT)
  np.testing.assert_array_equal(again.samples, utterance.samples)
  assert again == again and again.cues == utterance.cues


def test_languages_and_variants_differ(utterance):
  german, french = espeak.say('Guten Tag, Welt.', '', 'de'), espeak.say('Guten Tag, Welt.', '', 'fr')
  woman = espeak.say('Guten Tag, Welt.', 'f3', 'de_DE')
  assert not np.array_equal(german.samples, french.samples) and not np.array_equal(german.samples, woman.samples)
  assert woman.voice.endswith(', de+f3')


def test_scripts_without_blanks_have_cues_for_parts():
  pytest.importorskip('espeakng_loader')
  text = '你好，世界。我们今天去北京。'
  cues = espeak.say(text, '', 'cmn').cues
  assert ''.join(cue.text for cue in cues) == text and len(cues) > 3


@pytest.mark.parametrize(
  ('variant', 'language', 'problem'),
  [
    ('', 'german', r'no language=german; near it are de \(German\)'),
    ('', 'xx', 'no language=xx; near it are'),
    ('', '../../etc/passwd', 'no language='),
    ('f33', None, "no variant 'f33'; near it are f3"),
    ('../!v/f3', None, 'no variant'),
    ('f3', 'klingonish', 'no language=klingonish'),
  ],
)
def test_what_is_not_there_is_told_with_what_is_near(variant, language, problem):
  pytest.importorskip('espeakng_loader')
  with pytest.raises(UserError, match=problem) as error:
    espeak.say('Hello.', variant, language)
  assert '\n' not in str(error.value)


def test_without_the_package_one_line_says_what_to_install(monkeypatch):
  monkeypatch.setitem(sys.modules, 'espeakng_loader', None)
  with pytest.raises(UserError, match=r"pip install 'lpips-jax\[text\]'"):
    espeak.say('Hello.')


def test_a_process_that_fails_is_one_line(monkeypatch, tmp_path):
  pytest.importorskip('espeakng_loader')
  (tmp_path / 'broken.py').write_text('raise SystemExit("it broke")')
  monkeypatch.setattr(espeak_process, '__file__', str(tmp_path / 'broken.py'))
  with pytest.raises(UserError, match='espeak-ng fails on this text: it broke'):
    espeak.say('Hello.')


def test_its_phones_follow_one_another_to_the_end_of_the_sound(utterance):
  ends = np.array([end for _, end in utterance.phones])
  assert (np.diff(ends, prepend=0) >= 0).all() and np.isclose(ends[-1], len(utterance.samples) / utterance.sample_rate)


@pytest.mark.parametrize(
  ('text', 'language', 'shown'),
  [('my map', 'en-us', 'p a i p ae p'), ('ein Mann', 'de', 'a i n p a n'), ('judge', 'en-us', 't sh uh t sh')],
)
def test_its_phones_look_like_what_is_said(text, language, shown):
  names = [phone for phone, _ in espeak.say(text, language=language).phones if phone]
  assert ' '.join(OF_PHONE[name][0] for name in names) == shown
