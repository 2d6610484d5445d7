"""The boxes of MP4 and QuickTime files (ISO 14496-12), as far as marks of provenance are in them.

Sizes in a file may be lies: nothing is read but the headers of boxes, and the boxes that are looked for, up to a limit.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from lpips_jax.core.errors import UserError

XMP_UUID = bytes.fromhex('BE7ACFCB97A942E89C71999491E3AFAC')  # XMP Specification Part 3
C2PA_UUID = bytes.fromhex('D8FEC3D61B0E483C92975828877EC481')  # C2PA Technical Specification, embedding in BMFF
FIRST_BOXES = b'ftyp', b'moov', b'mdat', b'wide', b'free', b'skip', b'pnot'  # QuickTime's old files have no `ftyp`
MAX_BOXES = 100_000
MAX_XMP_BYTES = 4 << 20


class Box(NamedTuple):
  """A box.

  Attributes:
    kind: its type, four bytes; of `uuid` boxes, the sixteen bytes that follow.
    begin: where its content begins.
    end: where it ends.
    sized: whether it says so itself; else it lasts to the end of the file, whatever is added there.
  """

  kind: bytes
  begin: int
  end: int
  sized: bool


def is_isobmff(path: Path) -> bool:
  """Returns whether a file is made of boxes."""
  with path.open('rb') as file:
    return file.read(8)[4:] in FIRST_BOXES


def top_boxes(path: Path) -> list[Box]:
  """Returns the boxes of a file, up to where it is damaged or cut short."""
  with path.open('rb') as file:
    return list(_boxes(file, 0, path.stat().st_size))


def xmp_packet(path: Path) -> bytes | None:
  """Returns the XMP packet of an MP4 (in a `uuid` box) or a QuickTime film (also in `moov/udta/XMP_`), if it has one.

  Raises:
    UserError: it is larger than `MAX_XMP_BYTES`.
  """
  with path.open('rb') as file:
    size = path.stat().st_size
    found = [box for box in _boxes(file, 0, size) if box.kind in (XMP_UUID, b'moov')]
    boxes = [box for box in found if box.kind == XMP_UUID]
    for movie in (box for box in found if box.kind == b'moov'):
      for data in (box for box in _boxes(file, movie.begin, movie.end) if box.kind == b'udta'):
        boxes += [box for box in _boxes(file, data.begin, data.end) if box.kind == b'XMP_']
    if not boxes:
      return None
    if boxes[0].end - boxes[0].begin > MAX_XMP_BYTES:
      raise UserError(f'{path} has XMP of more than {MAX_XMP_BYTES >> 20} MiB, which is not read: it may be damaged')
    file.seek(boxes[0].begin)
    return file.read(boxes[0].end - boxes[0].begin)


def append_xmp(path: Path, packet: bytes) -> None:
  """Adds an XMP packet as the last box of a file, so that nothing before it moves.

  Raises:
    ValueError: the last box has no size of its own, so that it would swallow what follows.
  """
  size = path.stat().st_size
  boxes = top_boxes(path)
  if not boxes or boxes[-1].end != size or not boxes[-1].sized:
    raise ValueError(f'{path} does not end where its last box ends')
  with path.open('ab') as file:
    file.write(struct.pack('>I4s', 24 + len(packet), b'uuid') + XMP_UUID + packet)


def _boxes(file: BinaryIO, begin: int, end: int) -> Iterator[Box]:
  for _ in range(MAX_BOXES):
    if end - begin < 8:
      return
    file.seek(begin)
    header = file.read(32)
    size, kind = struct.unpack('>I4s', header[:8])
    length, sized = 8, size != 0
    if size == 1 and len(header) >= 16:
      (size,), length = struct.unpack('>Q', header[8:16]), 16
    elif not sized:
      size = end - begin
    if kind == b'uuid':
      kind, length = header[length : length + 16], length + 16
    if not length <= size <= end - begin:
      return
    yield Box(kind, begin + length, begin + size, sized)
    begin += size
