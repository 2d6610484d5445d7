"""Pages hold all that they show, escape what they are given, and are the same every time."""

import base64
import re

import cv2
import numpy as np
import pytest

from lpips_jax.core.html import INK, Figure, Gallery, Image, Paragraph, Table, Video, histogram, page, plot

RNG = np.random.default_rng(0)


def rows(html):
  """The cells of all table rows as they are written."""
  return [re.findall(r'<t[hd].*?</t[hd]>', row) for row in re.findall(r'<tr>(.*?)</tr>', html)]


def data(html, media_type):
  """Returns the contents of data URLs."""
  return [base64.b64decode(coded) for coded in re.findall(rf'src="data:{media_type};base64,(.*?)"', html)]


def show(*blocks):
  return page('title', [('section', blocks)])


def test_every_text_is_escaped():
  text = '<b>"&\''
  pixels = np.zeros((2, 2, 3), np.uint8)
  blocks = [
    Paragraph(text),
    Table([[text]], [text]),
    Figure(Image(pixels, text), text),
    Gallery([Video(b'mp4', text), histogram([1.0], text), plot(lambda drawing: None, 1, 1, text)]),
  ]
  html = page(text, [(text, blocks)])
  assert text not in html and '<b>' not in html
  assert html.count('&lt;b&gt;') == 2 + 1 + 1 + 2 + 3 + 1 + 3  # a histogram names what it shows twice


def test_a_page_is_the_same_every_time_and_needs_no_other_file():
  picture = Image(RNG.integers(256, size=(8, 8, 3), dtype=np.uint8), 'picture')
  pages = [show(Gallery([picture, histogram([1, 2, 2], 'seconds'), Video(b'mp4')])) for _ in range(2)]
  assert pages[0] == pages[1]
  assert not re.search(r'(src|href)="(?!data:|#)', pages[0])
  assert pages[0].startswith('<!DOCTYPE html>\n') and pages[0].endswith('</html>\n')


def test_sections_and_blocks_keep_their_order():
  html = page('all', [('first', [Paragraph('one'), Paragraph('two', quiet=True)]), ('second', [])])
  assert re.findall(r'<(?:h1|h2|p)[^>]*>(.*?)<', html) == ['all', 'first', 'one', 'two', 'second']
  assert '<p>one</p>' in html and '<p class="quiet">two</p>' in html


def test_tables_have_text_to_the_left_and_numbers_to_the_right():
  html = show(Table([('a', 1234567, 0.00012345, None), ('b', 8, 1234.5, 2)], ('name', 'n', 'x', 'y')))
  assert rows(html) == [
    ['<th class="text">name</th>', '<th>n</th>', '<th>x</th>', '<th>y</th>'],
    ['<td class="text">a</td>', '<td>1,234,567</td>', '<td>0.000</td>', '<td></td>'],
    ['<td class="text">b</td>', '<td>8</td>', '<td>1,234.50</td>', '<td>2</td>'],
  ]
  assert '<td>0.00012</td>' in show(Table([(0.00012345,)], digits=2))
  assert rows(show(Table([], ('name',)))) == [['<th class="text">name</th>']]
  with pytest.raises(ValueError):
    show(Table([(1, 2), (3,)]))


def test_images_are_whole():
  pixels = RNG.integers(256, size=(6, 9, 3), dtype=np.uint8)
  html = show(Image(pixels, 'faces', lossless=True, width=30), Image(pixels))
  (lossless,) = data(html, 'image/png')
  np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(lossless, np.uint8), cv2.IMREAD_COLOR)[..., ::-1], pixels)
  assert '<img title="faces" alt="faces" width="30" height="20" ' in html
  assert '<img alt="" width="9" height="6" ' in html and len(data(html, 'image/jpeg')) == 1


def test_videos_are_whole():
  html = show(Figure(Video(b'an mp4', 'speech'), 'below'))
  assert data(html, 'video/mp4') == [b'an mp4']
  assert re.search(r'<figure>\s*<video title="speech" .*</video>\s*<figcaption>below</figcaption>', html)


def test_plots_have_the_colour_of_the_text_around_them():
  svg = plot(lambda drawing: drawing.add_subplot(xlabel='seconds'), 2, 1, 'a plot')
  assert svg.startswith('<svg') and '><title>a plot</title>' in svg and '>seconds</text>' in svg
  assert 'currentColor' in svg and INK not in svg and '<!--' not in svg and '<g id' not in svg


def bars(svg):
  """How many levels the outline of a histogram has."""
  return len(re.findall(r'^L', re.search(r'<path d="([^"]*)"[^>]*clip-path', svg)[1], re.MULTILINE)) // 2


def test_bars_of_a_histogram_cover_equally_many_steps():
  assert bars(histogram(np.arange(100), 'frames', step=1)) == 34  # of three frames each, where 40 would be of 2.5
  assert bars(histogram(np.arange(40) / 25, 'seconds', step=1 / 25)) == 40
  assert bars(histogram(np.arange(100), 'frames')) == 40


def test_a_histogram_says_what_it_shows():
  assert 'seconds\n1 to 9, median 2' in histogram([1, 2, 9], 'seconds')
  assert histogram([], 'seconds') == Paragraph('seconds: nothing to show', quiet=True)
