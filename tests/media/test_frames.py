"""The frames of a file: sizes that change, frames that are shown for long, and files that are not one picture."""

from fractions import Fraction

import numpy as np
import pytest
from pictures import corners, write_film

from lpips_jax.core.errors import UserError
from lpips_jax.media.frames import repeat_times
from lpips_jax.media.playback import play
from lpips_jax.media.video_reader import probe, read_frames
from lpips_jax.media.ycbcr import to_rgb


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


def test_a_frame_that_is_shown_for_long_is_repeated():
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
