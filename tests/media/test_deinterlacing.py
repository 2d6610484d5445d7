"""Interlaced videos have no combs, and progressive ones are not touched."""

import itertools
from fractions import Fraction

import av
import numpy as np
import pytest
from pictures import frame_of, write_film
from videos import as_interlaced

from lpips_jax.media import playback
from lpips_jax.media.deinterlacing import deinterlaced
from lpips_jax.media.playback import play, play_there_and_back
from lpips_jax.media.video_reader import count_frames, probe, read_frames
from lpips_jax.media.ycbcr import to_rgb

FPS = Fraction(25)


def bar(place):
  """A bright bar that stands at some place, from left to right."""
  picture = np.full((48, 64, 3), 40, np.uint8)
  picture[:, place : place + 8] = 220
  return picture


def interlaced(places):
  """A frame for each two places of the bar, whose even rows show the first and odd rows the second."""
  for k, (first, second) in enumerate(zip(places[::2], places[1::2], strict=True)):
    woven = bar(first)
    woven[1::2] = bar(second)[1::2]
    frame = as_interlaced(woven)
    frame.pts = k
    yield frame


def combing(picture):
  """How much rows differ from those above and below."""
  rows = picture[..., 1].astype(float)
  return abs(rows[1:-1] - (rows[:-2] + rows[2:]) / 2).mean()


def samples(frame):
  return [bytes(plane) for plane in frame.planes]


def write_interlaced(path, count=12):
  options = {'flags': '+ildct+ilme', 'b': '8M', 'g': '4', 'bf': '2'}
  return write_film(path, interlaced(range(2 * count)), codec='mpeg2video', options=options)


@pytest.mark.parametrize('suffix', ['.mpg', '.ts', '.mov', '.mkv'])
def test_interlaced_films_have_no_combs(tmp_path, suffix, warnings):
  path = write_interlaced(tmp_path / f'film{suffix}')
  with av.open(str(path)) as container:
    assert all(frame.interlaced_frame for frame in container.decode(video=0))
    container.seek(0)
    assert combing(next(container.decode(video=0)).to_ndarray(format='rgb24')) > 4
  frames = list(read_frames(path))
  assert len(frames) == count_frames(path) == probe(path).frames == 12
  assert max(map(combing, frames)) < 1
  assert abs(frames[6].astype(float) - bar(12)).mean() < 6  # the moment of the first field
  assert max(combing(to_rgb(shown.planes)) for shown in play(path, probe(path))) < 1
  assert len(warnings) == 1 and 'is interlaced' in warnings[0]


@pytest.mark.parametrize('suffix', ['.mpg', '.mov'])
def test_interlaced_films_are_the_same_read_backwards(tmp_path, suffix, monkeypatch):
  path = write_interlaced(tmp_path / f'film{suffix}')
  info = probe(path)
  forward = [shown.planes.samples for shown in play(path, info)]
  monkeypatch.setattr(playback, 'CHUNK_BYTES', 3 * forward[0].nbytes)
  for shown in itertools.islice(play_there_and_back(path, info), 34):
    np.testing.assert_array_equal(shown.planes.samples, forward[shown.index])


def test_only_interlaced_frames_change_and_reading_may_begin_anywhere():
  woven = list(interlaced(range(0, 24)))
  rows = np.random.default_rng(0).integers(0, 30, (48, 1, 1), np.uint8)  # no row is what lies between its neighbours
  whole = [frame_of(bar(2 * k) + rows, pts=k) for k in range(12)]
  mixed = [woven[k] if k in (3, 4, 8, 11) else whole[k] for k in range(12)]
  before = [samples(frame) for frame in mixed]
  found = list(deinterlaced(mixed, 'a mixed film'))
  assert [(frame.pts, frame.time_base) for frame in found] == [(k, 1 / FPS) for k in range(12)]
  assert [samples(a) == b for a, b in zip(found, before, strict=True)] == [k not in (3, 4, 8, 11) for k in range(12)]
  assert not any(frame.interlaced_frame for frame in found)
  for start in range(1, 11):
    later = list(deinterlaced(mixed[start - 1 :], 'a mixed film'))[1:]
    assert [samples(frame) for frame in later] == [samples(frame) for frame in found[start:]]


def test_progressive_films_are_not_touched(tmp_path, warnings):
  path = write_film(tmp_path / 'film.mp4', [bar(k) for k in range(6)])
  with av.open(str(path)) as container:
    decoded = [frame.to_ndarray() for frame in container.decode(video=0)]
  played = [shown.planes.samples for shown in play(path, probe(path))]
  np.testing.assert_array_equal(played, decoded)
  assert warnings == []
