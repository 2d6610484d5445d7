"""Reading the marks that a file carries: a film, a picture or a sound."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from lpips_jax.core.errors import UserError
from lpips_jax.core.files import PathLike
from lpips_jax.media.containers import open_media
from lpips_jax.provenance import isobmff, xmp
from lpips_jax.provenance.statement import IPTC, Mark, printable

COMMENT, SOURCE_TYPE_TAG, XMP_TAG = 'comment', 'digital_source_type', 'xmp'  # of a container, whose case varies
XMP_BEGIN, XMP_END = b'<x:xmpmeta', b'</x:xmpmeta>'
MANIFEST_STORE = bytes.fromhex('6332706100110010800000AA00389B71')  # the type of C2PA's outermost box, in any format
MAX_SCANNED = 8 << 20  # bytes at either end of a file that is not made of boxes


def read(path: PathLike) -> list[Mark]:
  """Returns the marks of a file: its own first, unless it has none, then those of what it was made from.

  XMP is read from MP4 and QuickTime's boxes, from tags of Matroska and WebM, and from the first and last 8 MiB of other
  formats, where it is text (JPEG, PNG, WebP, AVIF, WAV, MP3). If a film lost its XMP, IPTC's digital source type in its
  tags counts.

  Raises:
    UserError: it is no media file, or its XMP is damaged.
  """
  path = Path(path)
  tags = _tags(path)
  packet = _packet(path) or tags.get(XMP_TAG, '').encode()
  try:
    marks = xmp.read(packet) if packet else []
  except UserError as error:
    raise UserError(f'{path}: {error}') from error
  if not marks:
    marks = [_mark_of_tags(tags)]
  if marks[0].part:
    marks = [Mark(), *marks]
  own = replace(marks[0], c2pa=marks[0].c2pa or has_manifest(path))
  return [own] * own.says_something + marks[1:]


def has_manifest(path: PathLike) -> bool:
  """Returns whether a file carries a C2PA manifest, by its place in boxes or its mark in the file's ends."""
  path = Path(path)
  if isobmff.is_isobmff(path):
    return any(box.kind == isobmff.C2PA_UUID for box in isobmff.top_boxes(path))
  return any(MANIFEST_STORE in part for part in _ends(path))


def _tags(path: Path) -> dict[str, str]:
  with open_media(path) as container:
    return {name.lower(): text for name, text in container.metadata.items()}


def _mark_of_tags(tags: Mapping[str, str]) -> Mark:
  comment = tags.get(COMMENT, '')
  stated = re.search(f'{IPTC}[A-Za-z]+', f'{tags.get(SOURCE_TYPE_TAG, "")} {comment}')
  tool = re.search(r'\(([^()]+)\)\.', comment)
  return Mark('', stated[0], printable(tool[1]) if tool else '') if stated else Mark()


def _packet(path: Path) -> bytes | None:
  """Returns the XMP packet of a file."""
  if isobmff.is_isobmff(path):
    if packet := isobmff.xmp_packet(path):
      return packet
    if not any(box.kind == b'meta' for box in isobmff.top_boxes(path)):
      return None  # but pictures in HEIF hold it as one of their items
  for part in _ends(path):
    begin = part.find(XMP_BEGIN)
    end = part.find(XMP_END, begin)
    if 0 <= begin < end:
      return part[begin : end + len(XMP_END)]
  return None


def _ends(path: Path) -> list[bytes]:
  """Returns the first and the last part of a file, which are the same if it is small."""
  with path.open('rb') as file:
    first = file.read(MAX_SCANNED)
    file.seek(max(0, path.stat().st_size - MAX_SCANNED))
    return [first, file.read(MAX_SCANNED)]
