"""Which frames there are: interlaced films, sizes that change, frames that stand, and what is not one picture."""

import itertools
from fractions import Fraction

import av
import numpy as np
import pytest
from absl import logging
from pictures import corners, frame_of, write_film
from videos import as_interlaced

from lpips_jax.core.errors import UserError
from lpips_jax.media import playback
from lpips_jax.media.deinterlacing import deinterlaced
from lpips_jax.media.frames import repeat_times
from lpips_jax.media.playback import play, play_there_and_back
from lpips_jax.media.video_reader import count_frames, probe, read_frames
from lpips_jax.media.ycbcr import to_rgb

FPS = Fraction(25)


@pytest.fixture
def warnings(monkeypatch):
  said = []
  monkeypatch.setattr(logging, 'warning', lambda text, *values: said.append(text % values))
  return said


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


def write_changing(path, sizes):
  """A raw film of three frames of each size, (height, width)."""
  parts = [write_film(path.with_name(f'{k}.h264'), [corners(*size)] * 3) for k, size in enumerate(sizes)]
  path.write_bytes(b''.join(part.read_bytes() for part in parts))
  return path


@pytest.mark.parametrize(
  ('size', 'rows', 'columns'),
  [
    ((96, 128), (0, 48), (0, 64)),
    ((96, 64), (0, 48), (16, 48)),
    ((24, 64), (12, 36), (0, 64)),
    ((50, 50), (0, 48), (8, 56)),
  ],
)
def test_frames_of_another_size_are_letterboxed(tmp_path, size, rows, columns, warnings):
  path = write_changing(tmp_path / 'film.h264', [(48, 64), size])
  info = probe(path)
  assert (info.height, info.width) == (48, 64)
  for last in (list(read_frames(path))[-1], to_rgb(list(play(path, info))[-1].planes)):
    inner = last[slice(*rows), slice(*columns)]
    outside = np.ones(last.shape[:2], bool)
    outside[slice(*rows), slice(*columns)] = False
    assert last.shape == (48, 64, 3) and outside.sum() == 48 * 64 - inner[..., 0].size
    assert not outside.any() or last[outside].max() < 24
    h, w = inner.shape[0] // 2, inner.shape[1] // 2  # nothing is stretched or cut: the corners are where they were
    for part, level in ((inner[:h, :w], 230), (inner[:h, w:], 30), (inner[h:, :w], 128), (inner[h:, w:], 128)):
      assert abs(part[4:-4, 4:-4].astype(int) - level).max() < 12
  assert len(warnings) == 1 and 'changes its size' in warnings[0]


def test_a_frame_that_stands_is_shown_again():
  tick = Fraction(1, 1000)
  assert repeat_times(Fraction(0), Fraction(1, 10), tick) == []
  assert repeat_times(Fraction(1), Fraction(6, 5), tick) == [
    Fraction(26, 25),
    Fraction(27, 25),
    Fraction(28, 25),
    Fraction(29, 25),
  ]
  assert repeat_times(Fraction(0), Fraction(4, 30), Fraction(1, 30)) == [Fraction(k, 30) for k in (1, 2, 3)]
  assert repeat_times(Fraction(0), Fraction(8, 60), Fraction(1, 60)) == [Fraction(k, 30) for k in (1, 2, 3)]
  assert repeat_times(Fraction(0), Fraction(100000), tick) == []  # a clock that jumps


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
  for number in range(len(forward) - 2, 0, -1):
    np.testing.assert_array_equal(next(shown).planes.samples, forward[number])


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


def test_pictures_in_several_parts_are_refused(tmp_path):
  from PIL import Image

  seen = np.dstack([corners(), np.full((48, 64), 255, np.uint8)])
  seen[:, 32:, 3] = 0
  Image.fromarray(seen).save(tmp_path / 'still.avif')
  for read in (probe, lambda path: next(read_frames(path))):
    with pytest.raises(UserError, match='several parts'):
      read(tmp_path / 'still.avif')
  Image.fromarray(corners()).save(tmp_path / 'whole.avif')
  assert probe(tmp_path / 'whole.avif').still and next(read_frames(tmp_path / 'whole.avif')).shape == (48, 64, 3)


def box(kind, *parts):
  content = b''.join(parts)
  return (8 + len(content)).to_bytes(4, 'big') + kind + content


def numbers(size, *values):
  return b''.join(value.to_bytes(size, 'big') for value in values)


def in_tiles(path, tile):
  """Writes a picture of two tiles side by side, as phones do, of an AVIF that Pillow has written."""
  content = tile.read_bytes()
  [config] = [content[k - 4 : k - 4 + int.from_bytes(content[k - 4 : k], 'big')] for k in [content.index(b'av1C')]]
  coded = content[content.index(b'mdat') + 4 :]
  kind = box(b'ftyp', b'avif', numbers(4, 0), b'mif1avifmiaf')

  def meta(place):
    names = (numbers(4, 2 << 24) + numbers(2, k + 1, 0) + name for k, name in enumerate((b'grid', b'av01', b'av01')))
    sizes = (box(b'ispe', numbers(4, 0, width, 64)) for width in (128, 64))
    where = numbers(2, 1, 1, 0, 1) + numbers(4, 0, 8)
    where += b''.join(numbers(2, item, 0, 0, 1) + numbers(4, place, len(coded)) for item in (2, 3))
    return box(
      b'meta',
      numbers(4, 0),
      box(b'hdlr', numbers(4, 0, 0), b'pict', numbers(4, 0, 0, 0), b'\0'),
      box(b'pitm', numbers(4, 0), numbers(2, 1)),
      box(b'iinf', numbers(4, 0), numbers(2, 3), *(box(b'infe', name, b'\0') for name in names)),
      box(b'iref', numbers(4, 0), box(b'dimg', numbers(2, 1, 2, 2, 3))),
      box(
        b'iprp',
        box(b'ipco', *sizes, config),
        box(
          b'ipma',
          numbers(4, 0, 3),
          *(numbers(2, k) + bytes(of) for k, of in ((1, (1, 1)), (2, (2, 2, 3)), (3, (2, 2, 3)))),
        ),
      ),
      box(b'iloc', numbers(4, 1 << 24), b'\x44\0', numbers(2, 3), where),
      box(b'idat', bytes((0, 0, 0, 1)), numbers(2, 128, 64)),
    )

  path.write_bytes(kind + meta(len(kind) + len(meta(0)) + 8) + box(b'mdat', coded))
  return path


def test_a_tile_is_not_taken_for_the_picture(tmp_path):
  from PIL import Image

  Image.fromarray(corners(64, 64)).save(tmp_path / 'tile.avif')
  path = in_tiles(tmp_path / 'tiles.avif', tmp_path / 'tile.avif')
  with Image.open(path) as whole:  # it is a picture, of both
    seen = np.asarray(whole.convert('RGB')).astype(int)
    assert whole.size == (128, 64) and abs(seen[:, 64:] - corners(64, 64)).mean() < 9
  content = path.read_bytes()
  for brand in (b'avif', b'heic', b'isom'):
    path.write_bytes(content.replace(b'ftypavif', b'ftyp' + brand))
    with pytest.raises(UserError, match='several parts'):
      probe(path)
