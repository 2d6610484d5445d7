"""Text from files and from flags, whatever is in it."""

import pytest

from lpips_jax.core.errors import UserError
from lpips_jax.speaking.text import MAX_CHARACTERS, cleaned, ends_sentence, read_text_file, sentences

TEXT = 'Grüße, Ödön!\nZweite Zeile 世界.'


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16', 'utf-16-le', 'utf-16-be'])
@pytest.mark.parametrize('line_end', ['\n', '\r\n', '\r'])
def test_files_of_usual_encodings_are_read(tmp_path, encoding, line_end):
  (tmp_path / 'text.txt').write_bytes(TEXT.replace('\n', line_end).encode(encoding))
  assert read_text_file(tmp_path / 'text.txt') == TEXT


@pytest.mark.parametrize(
  ('content', 'problem'),
  [
    (b'\xff\xfe\x00', 'no text in UTF-8 or UTF-16'),
    (b'Gr\xfc\xdfe', 'no text in UTF-8 or UTF-16'),
    (b'\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR', 'no text'),
    (b'abc\0def', 'holds zeros'),
    (b'a' * (4 * MAX_CHARACTERS + 5), 'say it in parts'),
  ],
)
def test_bytes_that_are_no_text_are_one_line(tmp_path, content, problem):
  (tmp_path / 'text.txt').write_bytes(content)
  with pytest.raises(UserError, match=problem) as error:
    read_text_file(tmp_path / 'text.txt')
  assert '\n' not in str(error.value)


@pytest.mark.parametrize('name', ['missing.txt', '.', 'a\0b'])
def test_files_that_cannot_be_read_are_one_line(tmp_path, name):
  with pytest.raises(UserError, match='cannot be read'):
    read_text_file(tmp_path / name)


@pytest.mark.parametrize(
  ('text', 'kept'),
  [
    ('a\r\nb\tc', 'a b c'),
    ('\ufeffa\x00b\x1bc\u200b', 'a b c'),
    ('a\n \nb\n\n\nc\n', 'a\n\nb\n\nc'),
    ('cafe\u0301', 'café'),
    ('a\u202eb', 'ab'),
    ('क्‍ष', 'क्‍ष'),
    ('<b>1 < 2</b> 🙂', '<b>1 < 2</b> 🙂'),
    ('a\ud800b', 'a b'),
  ],
)
def test_text_is_cleaned(text, kept):
  assert cleaned(text) == kept


@pytest.mark.parametrize('text', ['', ' \n', '...', '🙂🙂', '\x00\x01', '—!?'])
def test_nothing_to_say_is_one_line(text):
  with pytest.raises(UserError, match='nothing to say'):
    cleaned(text)


def test_too_much_to_say_is_one_line():
  assert len(cleaned('a' * MAX_CHARACTERS)) == MAX_CHARACTERS
  with pytest.raises(UserError, match='100,000 characters, more than 30,000'):
    cleaned('a' * 100_000)


@pytest.mark.parametrize(
  ('word', 'following', 'ends'),
  [
    ('end. ', 'Next', True),
    ('end." ', 'Next', True),
    ('what?! ', 'next', True),
    ('。', '世', True),
    ('end ', '', True),
    ('end\n\n', 'next', True),
    ('Mr. ', 'Smith', False),
    ('J. ', 'Smith', False),
    ('U.S. ', 'army', False),
    ('word ', 'next', False),
    ('3.5 ', 'Kilos', False),
  ],
)
def test_ends_of_sentences(word, following, ends):
  assert ends_sentence(word, following) is ends


def test_sentences_together_are_the_text():
  text = 'One two. Mr. Three said: "Four!" Five\n\n' + 'word ' * 40 + 'x' * 150
  found = list(sentences(text, 100))
  assert ''.join(found) == text and max(map(len, found)) <= 100
  assert found[:3] == ['One two. ', 'Mr. Three said: "Four!" ', 'Five\n\n']
