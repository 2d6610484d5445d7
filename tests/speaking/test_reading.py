"""Text becomes words and pauses, and keeps its own letters for subtitles."""

import pytest

from lpips_jax.core.errors import UserError
from lpips_jax.speaking.reading import PAUSES, read


def words(text):
  return ' '.join(word for token in read(text) for word in token.words)


@pytest.mark.parametrize(
  ('text', 'said'),
  [
    ('Hello, World!', 'hello world'),
    ("It's Mr. Smith's dog.", "it's mister smith's dog"),
    ('Dr. No is no. 7', 'doctor no is number seven'),
    ('e.g. this, i.e. that, etc.', 'for example this that is that etcetera'),
    ('the BBC and NASA', 'the B B C and nasa'),
    ('the U.S. army', 'the U S army'),
    ('PLEASE READ THIS', 'please read this'),
    ('café, naïve, Straße, Œuvre', 'cafe naive strasse oeuvre'),
    ('AT&T', 'A T and T'),
    ('rock & roll', 'rock and roll'),
    ('me@example.com', 'me at example dot com'),
    ('5km of COVID-19', 'five kilometers of covid nineteen'),
    ('read/write 1/2', 'read write one two'),
    ('<b>bold</b> & <break time="2s"/>', 'B bold B and break time equals two seconds'),
    ('‘quoted’ “words” (here)', 'quoted words here'),
    ('mid-1990s', 'mid nineteen nineties'),
    ('one 🙂 two', 'one two'),
    ('hmm ssh pdf', 'hmm S S H P D F'),
  ],
)
def test_text_is_read_as_people_do(text, said):
  assert words(text) == said


def test_tokens_together_are_the_text():
  text = 'Hello, "world" — this (is)  🙂 it.\n\nBye!'
  assert ''.join(token.text for token in read(text)) == text


def test_marks_pause():
  pauses = {token.text.strip(): token.pause for token in read('One, two; three. Four Mr. Five U.S. army (six) seven')}
  assert pauses['One,'] == PAUSES[','] < pauses['two;'] == PAUSES[';'] < pauses['three.'] == PAUSES['.']
  assert pauses['Four'] == pauses['Mr.'] == pauses['U.S.'] == 0
  assert read('One\n\ntwo')[0].pause > PAUSES['.']


@pytest.mark.parametrize('text', ['привет', 'hello 世界', 'مرحبا', 'αβγ'])
def test_other_scripts_are_refused_in_one_line(text):
  with pytest.raises(UserError, match=r'reads English letters only.*voice=espeak') as error:
    read(text)
  assert error.value.as_flags().endswith('use --voice=espeak and its --language')


@pytest.mark.parametrize('text', ['', '...', '🙂', '—', '<>'])
def test_marks_alone_are_nothing_to_say(text):
  with pytest.raises(UserError, match='nothing to say'):
    read(text)
