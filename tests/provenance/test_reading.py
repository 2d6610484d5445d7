"""Reading marks out of films, pictures and sounds."""

import struct

import cv2
import numpy as np
import pytest

from lpips_jax.core.errors import UserError
from lpips_jax.media.video_writer import FileMarks
from lpips_jax.provenance import isobmff, reading, xmp
from lpips_jax.provenance.marking import marks
from lpips_jax.provenance.statement import IPTC, Mark, Statement, this_tool

PACKET = xmp.write(Statement('animated', 'Painter 3'), [])
PAINTED = Mark('', f'{IPTC}trainedAlgorithmicMedia', 'Painter 3')


def jpeg(xmp_packet: bytes = b'', jumbf: bytes = b'') -> bytes:
  content = cv2.imencode('.jpg', np.zeros((16, 16, 3), np.uint8))[1].tobytes()
  segments = b''
  for marker, segment in ((b'\xff\xe1', b'http://ns.adobe.com/xap/1.0/\0' + xmp_packet), (b'\xff\xeb', jumbf)):
    segments += marker + struct.pack('>H', 2 + len(segment)) + segment
  return content[:2] + segments + content[2:]


def test_xmp_of_a_picture_is_found(tmp_path):
  (tmp_path / 'p.jpg').write_bytes(jpeg(PACKET))
  assert reading.read(tmp_path / 'p.jpg') == [PAINTED]


def test_xmp_at_the_end_of_a_sound_is_found(tmp_path, sound, monkeypatch):
  monkeypatch.setattr(reading, 'MAX_SCANNED', len(PACKET) + 8)
  sound.write_bytes(sound.read_bytes() + b'_PMX' + struct.pack('<I', len(PACKET)) + PACKET)
  assert reading.read(sound) == [PAINTED]


def test_manifests_are_seen_without_c2pa(tmp_path, film):
  film('v.mp4')
  with (tmp_path / 'v.mp4').open('ab') as file:
    file.write(struct.pack('>I4s', 28, b'uuid') + isobmff.C2PA_UUID + b'1234')
  (tmp_path / 'p.jpg').write_bytes(
    jpeg(jumbf=b'JP\0\1\0\0\0\1' + b'\0\0\0\x30jumb\0\0\0\x28jumd' + reading.MANIFEST_STORE)
  )
  for name in 'v.mp4', 'p.jpg':
    assert reading.has_manifest(tmp_path / name) and reading.read(tmp_path / name) == [Mark(c2pa=True)]


def test_the_comment_counts_where_the_rest_was_lost(film):
  """As when a film is copied into another container."""
  tags = {'comment': Statement('dubbed', model='m').in_words()}
  path = film('v.mp4', FileMarks(tags, lambda *_: None))
  assert reading.read(path) == [Mark('', f'{IPTC}compositeWithTrainedAlgorithmicMedia', f'{this_tool()}, model m')]


def test_a_file_without_marks_has_none(film, sound):
  assert reading.read(film('v.mp4')) == reading.read(film('v.mkv')) == reading.read(sound) == []


@pytest.mark.parametrize('name', ['v.mp4', 'v.mov', 'v.mkv'])
def test_damaged_xmp_is_told_with_the_name_of_the_file(film, name):
  path = film(name, marks(Statement('dubbed')))
  path.write_bytes(path.read_bytes().replace(b'</rdf:RDF>', b'</rdf:RDG>'))
  with pytest.raises(UserError, match=rf'{name}: the XMP is damaged'):
    reading.read(path)


def test_other_files_are_refused(tmp_path):
  (tmp_path / 'text.mp4').write_text('no film')
  for path in (tmp_path, tmp_path / 'none.mp4', tmp_path / 'text.mp4'):
    with pytest.raises(UserError):
      reading.read(path)
