"""Boxes: XMP is appended and found, other boxes stay where they are, and sizes that lie are not believed."""

import struct

import pytest

from lpips_jax.core.errors import UserError
from lpips_jax.provenance import isobmff
from lpips_jax.provenance.isobmff import XMP_UUID, append_xmp, is_isobmff, top_boxes, xmp_packet


def box(kind: bytes, content: bytes = b'', size: int | None = None) -> bytes:
  return struct.pack('>I4s', 8 + len(content) if size is None else size, kind) + content


FTYP = box(b'ftyp', b'isom\0\0\0\0')


def test_a_packet_is_appended_and_found(tmp_path):
  path = tmp_path / 'v.mp4'
  path.write_bytes(before := FTYP + box(b'moov', b'1234') + box(b'mdat', b'567'))
  assert xmp_packet(path) is None
  append_xmp(path, b'<packet/>')
  assert path.read_bytes().startswith(before) and xmp_packet(path) == b'<packet/>'
  assert [each.kind for each in top_boxes(path)] == [b'ftyp', b'moov', b'mdat', XMP_UUID]


def test_the_packet_in_the_place_of_quicktime_is_found(tmp_path):
  path = tmp_path / 'v.mov'
  path.write_bytes(FTYP + box(b'moov', box(b'trak') + box(b'udta', box(b'name', b'n') + box(b'XMP_', b'<packet/>'))))
  assert xmp_packet(path) == b'<packet/>'


def test_large_boxes_have_long_sizes(tmp_path):
  path = tmp_path / 'v.mp4'
  path.write_bytes(FTYP + struct.pack('>I4sQ', 1, b'mdat', 20) + b'data' + box(b'free'))
  mdat = top_boxes(path)[1]
  assert (mdat.kind, mdat.end - mdat.begin, mdat.sized) == (b'mdat', 4, True) and len(top_boxes(path)) == 3


@pytest.mark.parametrize(
  'end', [box(b'mdat', b'x', size=0), box(b'moov') + box(b'mdat', b'x', size=0), box(b'mdat', b'x', size=100), b'junk']
)
def test_nothing_is_appended_to_what_would_swallow_it(tmp_path, end):
  path = tmp_path / 'v.mp4'
  path.write_bytes(FTYP + end)
  with pytest.raises(ValueError, match='does not end where its last box ends'):
    append_xmp(path, b'<packet/>')
  assert path.read_bytes() == FTYP + end


@pytest.mark.parametrize('size', [0, 1, 2, 7, 8, 23, 24, 2**31, 2**32 - 1])
@pytest.mark.parametrize('kind', [b'uuid', b'moov', b'mdat'])
def test_sizes_that_lie_end_the_reading(tmp_path, kind, size):
  path = tmp_path / 'v.mp4'
  for rest in (b'', XMP_UUID, XMP_UUID + b'<x/>', struct.pack('>Q', 2**63) + b'1234'):
    path.write_bytes(FTYP + box(kind, rest, size))
    boxes = top_boxes(path)
    assert boxes[0].kind == b'ftyp' and all(each.begin <= each.end <= path.stat().st_size for each in boxes)
    xmp_packet(path)


def test_a_huge_packet_is_not_read(tmp_path):
  path = tmp_path / 'v.mp4'
  with path.open('wb') as file:  # a sparse file
    file.write(FTYP + struct.pack('>I4s', 3 << 30, b'uuid') + XMP_UUID)
    file.truncate(len(FTYP) + (3 << 30))
  with pytest.raises(UserError, match='XMP of more than 4 MiB'):
    xmp_packet(path)


def test_endless_boxes_end(tmp_path, monkeypatch):
  monkeypatch.setattr(isobmff, 'MAX_BOXES', 50)
  path = tmp_path / 'v.mp4'
  path.write_bytes(FTYP + 100 * box(b'free'))
  assert len(top_boxes(path)) == 50


def test_other_files_are_not_made_of_boxes(tmp_path):
  for content in (b'', b'RIFF1234WAVE', b'\x89PNG\r\n\x1a\n'):
    (tmp_path / 'f').write_bytes(content)
    assert not is_isobmff(tmp_path / 'f')
