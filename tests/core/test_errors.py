"""Errors name arguments, and commands name flags."""

import pickle

import pytest

from lpips_jax.core.errors import UserError, first_line


@pytest.mark.parametrize(
  ('error', 'line'),
  [
    (UserError('no face in max_pixels.mp4'), 'no face in max_pixels.mp4'),
    (UserError('more than max_pixels=9: raise max_pixels', 'max_pixels'), 'more than --max_pixels=9: raise max_pixels'),
    (UserError('/a/crf/b.mp4 is too large', 'crf'), '/a/crf/b.mp4 is too large (--crf)'),
    (
      UserError('boxes and all_faces exclude each other', 'boxes', 'all_faces'),
      '--boxes and --all_faces exclude each other',
    ),
  ],
)
def test_commands_show_arguments_as_flags(error, line):
  assert error.as_flags() == line
  assert pickle.loads(pickle.dumps(error)).as_flags() == line  # workers send errors to their parent


def test_a_long_error_keeps_its_beginning_and_its_end():
  line = first_line(ValueError('begin' + 300 * '.' + 'end\nmore'))
  assert line.startswith('ValueError: begin') and line.endswith('end') and len(line) < 230
