"""Changing parts of the page, as HTML: names from outside are escaped, places and progress are right."""

import dataclasses
import html
import re
from pathlib import Path

import numpy as np
import pytest

from lpips_jax.core.progress import Progress
from lpips_jax.web import views
from lpips_jax.web.examples import Example
from lpips_jax.web.faces import Sight
from lpips_jax.web.service import Result

SIGHT = Sight(200, 100, 4.0, 1.5, np.array([[20.0, 10, 60, 50], [100, 20, 150, 80]]), 'data:x', False)
RESULT = Result(
  Path('/page/a b/dubbed.mp4'),
  Path('/page/a b/boxes.json'),
  (Path('/page/a b/dubbed.vtt'), Path('/page/a b/dubbed.srt')),
  "python infer.py --text='<b>'",
  Path('/page/me.mp4'),
  (1.0, 3.0),
  (2.5, 4.5),
  False,
)


def test_boxes_lie_over_the_faces_and_the_chosen_one_is_marked():
  shown = views.sight(SIGHT, 'me.mp4', 1, False)
  assert 'left:10.00%;top:10.00%;width:20.00%;height:40.00%' in shown
  assert shown.count('aria-pressed="true"') == 1 and shown.index('data-face="1"') < shown.index('aria-pressed="true"')
  assert views.sight(SIGHT, 'me.mp4', None, True).count('aria-pressed="true"') == 2


@pytest.mark.parametrize(
  'shown',
  [
    views.sight(SIGHT, '<script>', None, False),
    views.sound(Path('/page/<script>')),
    views.saving(Path('/page/<script>')),
    views.error('<script>'),
    views.note('<script>'),
    views.example_buttons((Example('<script>', Path('/page/a.wav')),), 'speech'),
    views.result(dataclasses.replace(RESULT, command='<script>')),
  ],
)
def test_names_from_outside_are_escaped(shown):
  assert '<script>' not in shown and ('&lt;script&gt;' in shown or '%3Cscript%3E' in shown)


def test_the_result_has_everything_to_take_along():
  shown = views.result(RESULT)
  for name in 'dubbed.mp4', 'boxes.json', 'dubbed.vtt', 'dubbed.srt':
    assert f'href="gradio_api/file=/page/a%20b/{name}" download="{name}"' in shown
  assert '<span>--text=&#39;&lt;b&gt;&#39;</span>' in shown
  assert 'data-begin="1.0" data-end="3.0" data-second="2.5"' in shown
  assert shown.count('<video') == 2 and '<track kind="subtitles"' in shown
  assert 'The preview from 2.5 s on' in shown
  still = views.result(dataclasses.replace(RESULT, still=True, part=None, subtitles=()))
  assert still.count('<video') == 1 and '<track' not in still and 'data-begin="0" data-end=""' in still


def test_the_command_is_copied_as_it_is():
  command = "python infer.py --face='a  <b>\nc'  --text=''"
  shown = views.result(dataclasses.replace(RESULT, command=command))
  code = shown.partition('<code>')[2].partition('</code>')[0]
  assert html.unescape(re.sub('<[^>]*>', '', code)) == command


@pytest.mark.parametrize(
  ('before', 'at', 'line'),
  [
    (1, None, 'One dub is before yours: you are number 2 in the queue.'),
    (2, None, '2 dubs are before yours: you are number 3 in the queue.'),
    (0, None, 'Getting ready…'),
    (0, Progress('looking', 5, 20, 0.5), 'Looking for faces · 5 of 20 frames · 10.0 frames a second · 2 s left'),
    (0, Progress('dubbing', 0, 20, 0.0), 'Dubbing · 0 of 20 frames'),
    (0, Progress('dubbing', 30, None, 2.0), 'Dubbing · 30 frames · 15.0 frames a second'),
  ],
)
def test_progress_is_told_in_a_line(before, at, line):
  assert views.progress_line(before, at) == line
  assert line in views.progress(before, at)


def test_the_bar_shows_the_share_that_is_done():
  assert 'value="0.250"' in views.progress(0, Progress('dubbing', 5, 20, 0.5))
  assert 'value=' not in views.progress(1, None)


@pytest.mark.parametrize(('seconds', 'words'), [(0.2, '1 s'), (89, '89 s'), (100, '2 min'), (7200, '2.0 h')])
def test_times_are_told_as_people_do(seconds, words):
  assert views.duration(seconds) == words
