"""Limits in words, and errors as people at a browser read them."""

import pytest

from lpips_jax.core.errors import UserError
from lpips_jax.web.limits import Limits, for_programs, for_the_page


@pytest.mark.parametrize('name', ['max_minutes', 'max_pixels', 'max_megabytes', 'max_characters', 'max_queue'])
def test_limits_are_more_than_0(name):
  with pytest.raises(UserError, match=f'{name} must be more than 0'):
    Limits(**{name: 0})


def test_the_page_states_each_limit():
  words = Limits(2.5, 1_000_000, 30, 99, 4).in_words()
  assert '2.5 minutes' in words and '1.0 million pixels' in words and '30 MB' in words and '4 dubs' in words


def test_a_file_may_be_as_large_as_the_limit(tmp_path):
  file = tmp_path / 'me.mp4'
  file.write_bytes(bytes(1_000_000))
  Limits(max_megabytes=1).check_size(file)
  file.write_bytes(bytes(1_000_001))
  with pytest.raises(UserError, match=r'^me.mp4 is larger than 1 MB: give a smaller file$'):
    Limits(max_megabytes=1).check_size(file)


@pytest.mark.parametrize(
  ('line', 'shown'),
  [
    ('/tmp/page-x/uploads/12ab/me.mp4 is empty', 'me.mp4 is empty'),
    ('/tmp/a/me.mp4 and /tmp/b/you.mp4 differ', 'me.mp4 and you.mp4 differ'),
    ('a.mp4 is longer than 5 minutes: cut it, or raise max_minutes', 'a.mp4 is longer than 5 minutes: cut it'),
    ('a.mp4 is 9 x 9 pixels large: reduce it, or raise max_pixels=4', 'a.mp4 is 9 x 9 pixels large: reduce it'),
    ('there is no face yet', 'There is no face yet'),
    ('face_at must be three numbers', 'face_at must be three numbers'),
  ],
)
def test_lines_name_no_folders_and_no_flags_that_people_do_not_have(line, shown):
  assert for_the_page(UserError(line)) == for_programs(UserError(line)) == shown


@pytest.mark.parametrize(
  ('line', 'shown'),
  [
    ('face_part must be two numbers of seconds, begin,end', "The film's part needs a begin before its end"),
    ('/tmp/a/me.mp4 has no frame from 20 s on, where face_part begins', 'me.mp4 has no frame from 20 s on'),
    ('voice=espeak has no language=xx; near it is de', 'The voice eSpeak has no language xx; near it is de'),
    ('consent=True says that she has agreed', 'Tick the box that says that she has agreed'),
  ],
)
def test_the_page_has_words_for_options_that_programs_name(line, shown):
  assert for_the_page(UserError(line)) == shown
  assert for_programs(UserError(line)).endswith(line.removeprefix('/tmp/a/'))
