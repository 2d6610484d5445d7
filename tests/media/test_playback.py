"""Playing videos: there and back, from key frames or where one cannot seek, with repeats of long frames."""

import itertools
from fractions import Fraction

import av
import numpy as np
import pytest
from pictures import number, numbered, write_film, write_numbered

from lpips_jax.media import playback
from lpips_jax.media.playback import play, play_there_and_back
from lpips_jax.media.video_reader import probe, read_frames
from lpips_jax.media.ycbcr import to_rgb


def there_and_back(index: int, length: int) -> int:
  """Returns which of `length` frames `play_there_and_back` yields as its `index`-th."""
  if length == 1:
    return 0
  position = index % (2 * length - 2)
  return min(position, 2 * length - 2 - position)


def there_and_back_frames(path):
  return (to_rgb(shown.planes) for shown in play_there_and_back(path, probe(path)))


@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.webp'])
def test_still_images(tmp_path, suffix):
  import cv2

  path = tmp_path / f'still %d:{suffix}'
  path.write_bytes(cv2.imencode(suffix, numbered(20)[..., ::-1])[1])
  info = probe(path)
  assert (info.width, info.height, info.rate, info.still) == (64, 48, 25, True)
  frames = list(itertools.islice(there_and_back_frames(path), 5))
  assert len(frames) == 5
  assert abs(frames[4][40, 50].astype(int) - 76).max() < 4


@pytest.mark.parametrize('n', [1, 2, 3, 20])
def test_there_and_back_in_small_chunks(tmp_path, monkeypatch, n):
  path = write_numbered(tmp_path / 'v.mp4', n)
  monkeypatch.setattr(playback, 'CHUNK_BYTES', 7 * 64 * 72)
  expected = list(itertools.islice(itertools.cycle([*range(n), *range(n - 2, 0, -1)]), 70))
  assert [number(frame) for frame in itertools.islice(there_and_back_frames(path), 70)] == expected
  assert [there_and_back(k, n) for k in range(70)] == expected


def test_there_and_back_where_one_cannot_seek(tmp_path, monkeypatch):
  source, bare = write_numbered(tmp_path / 'v.mp4', 12), tmp_path / 'v.h264'
  with av.open(str(source)) as container, av.open(str(bare), 'w', format='h264') as raw:
    stream = raw.add_stream_from_template(container.streams.video[0])
    for packet in container.demux(video=0):
      if packet.dts is not None:
        packet.stream = stream
        raw.mux(packet)
  monkeypatch.setattr(playback, 'CHUNK_BYTES', 5 * 64 * 72)
  frames = itertools.islice(there_and_back_frames(bare), 30)
  assert [number(frame) for frame in frames] == [there_and_back(k, 12) for k in range(30)]


def shades(count):
  return [np.full((48, 64, 3), 40 + 20 * k, np.uint8) for k in range(count)]


def played(path):
  return [
    (float(shown.time), round((int(shown.planes.y[20, 20]) - 16) * 255 / 219 - 40) // 20)
    for shown in play(path, probe(path))
  ]


@pytest.mark.parametrize('suffix', ['.mp4', '.mkv'])
def test_missing_frames_are_played_as_the_one_before(tmp_path, suffix, monkeypatch):
  path = write_film(tmp_path / f'film{suffix}', shades(6), times=[0, 1, 2, 12, 13, 14])
  info = probe(path)
  assert (info.rate, info.tick, info.frames) == (25, None, 15)
  expected = [0, 1, 2, *[2] * 9, 3, 4, 5]
  assert played(path) == [(pytest.approx(k / 25), number) for k, number in enumerate(expected)]
  assert len(list(read_frames(path))) == 6
  forward = [shown.planes.samples for shown in play(path, info)]
  monkeypatch.setattr(playback, 'CHUNK_BYTES', 4 * forward[0].nbytes)
  there_and_back = list(itertools.islice(play_there_and_back(path, info), 43))
  assert [shown.index for shown in there_and_back] == ([*range(15), *range(13, 0, -1)] * 2)[:43]
  assert [shown.time for shown in there_and_back] == [Fraction(k, 25) for k in range(43)]
  for shown in there_and_back:
    np.testing.assert_array_equal(shown.planes.samples, forward[shown.index])
    shown.planes.samples[:] = 0  # as who paints into one does; the others stay


def test_reading_backwards_need_not_begin_at_the_beginning(tmp_path, monkeypatch):
  times, options = [0, 1, 2, 12, 13, 14, 15], {'crf': '4', 'g': '3'}
  path = write_film(tmp_path / 'film.mp4', shades(7), times=times, options=options)
  info = probe(path)
  forward = [shown.planes.samples for shown in play(path, info)]
  monkeypatch.setattr(playback, 'CHUNK_BYTES', 3 * forward[0].nbytes)
  shown = play_there_and_back(path, info)
  assert [next(shown).index for _ in forward] == list(range(len(forward)))
  monkeypatch.setattr(playback, '_played', None)
  for k in range(len(forward) - 2, 0, -1):
    np.testing.assert_array_equal(next(shown).planes.samples, forward[k])


@pytest.mark.parametrize(('rate', 'dubbed'), [(1, 25), (5, 25), (8, 24), (12, 12)])
def test_films_of_few_frames_a_second(tmp_path, rate, dubbed):
  path = write_film(tmp_path / 'film.mp4', shades(4), rate=Fraction(rate))
  info, times = probe(path), dubbed // rate
  assert (info.rate, info.frames) == (dubbed, 4 * times)
  assert played(path) == [(pytest.approx(k / dubbed), k // times) for k in range(4 * times)]


def test_uneven_films_with_rests(tmp_path):
  times = [0, 31, 75, 1080, 1120, 1163, 1180]
  path = write_film(tmp_path / 'film.mp4', shades(7), times=times, rate=Fraction(1000), options={'crf': '4', 'bf': '0'})
  info = probe(path)
  found = [time for time, _ in played(path)]
  again = [75 + 40 * k for k in range(1, 25)]
  assert [round(1000 * time) for time in found] == sorted(times + again)
  assert info.tick is not None and info.frames == 31 and float(info.rate) == pytest.approx(30 / 1.18)
