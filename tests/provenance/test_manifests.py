"""Checking signatures: a change of one byte is told, wherever the signature reaches."""

import http.server
import random
import sys
import threading

import pytest

from lpips_jax.provenance import credentials, isobmff, manifests, signing
from lpips_jax.provenance.manifests import INVALID, TRUSTED, UNCHECKED, UNTRUSTED
from lpips_jax.provenance.marking import marks
from lpips_jax.provenance.statement import Statement

pytest.importorskip('c2pa')
DUBBED = Statement('dubbed')
UNSIGNED_BOXES = b'ftyp', b'free', b'skip', b'mfra'  # C2PA leaves them out of its sum


@pytest.fixture
def signed(film, pems):
  return film('v.mp4', marks(DUBBED, film('face.mp4', marks(DUBBED, None, None, *pems)), None, *pems))


def test_a_self_made_signature_holds_and_is_not_trusted(signed, pems):
  found = manifests.read(signed)
  assert found.state == UNTRUSTED and found.problems == ('signingCredential.untrusted: signing certificate untrusted',)
  own, parent = found.manifests
  assert own.ingredients == ('face (parentOf)',) and own.actions[0] == 'c2pa.opened' and not parent.ingredients
  assert own.tool.startswith('lpips-jax ') and 'trusted by nobody' in own.signer
  assert manifests.read(signed, pems[0].read_text()).state == TRUSTED


@pytest.mark.parametrize('seed', range(20))
def test_one_changed_byte_is_told(signed, seed):
  content = bytearray(signed.read_bytes())
  draw = random.Random(seed)
  left_out = [box for box in isobmff.top_boxes(signed) if box.kind in UNSIGNED_BOXES]
  covered = [k for k in range(len(content)) if not any(box.begin - 8 <= k < box.end for box in left_out)]
  manifest = next(box for box in isobmff.top_boxes(signed) if box.kind == isobmff.C2PA_UUID)
  covered = [k for k in covered if not manifest.begin - 24 <= k < manifest.end]
  content[draw.choice(covered)] ^= 1 << draw.randrange(8)
  signed.write_bytes(content)
  assert manifests.read(signed).state == INVALID


def test_something_added_is_told(signed):
  signed.write_bytes(signed.read_bytes() + b'\0\0\0\x0cabcd1234')
  assert manifests.read(signed).state == INVALID


def test_a_file_without_a_manifest_has_no_signature(film, sound):
  assert all(manifests.read(path) is None for path in (film('v.mp4', marks(DUBBED)), film('v.mkv'), sound))


def test_without_c2pa_a_signature_is_not_checked(signed, film, monkeypatch):
  plain = film('plain.mp4')
  monkeypatch.setitem(sys.modules, 'c2pa', None)
  assert manifests.read(signed).state == UNCHECKED and manifests.read(plain) is None


def test_an_empty_report_is_invalid():
  assert manifests._signature({}) == manifests.Signature(INVALID)


def test_no_manifest_is_fetched(tmp_path, film, pems):
  """A film may name an address of its manifest, whose owner would learn who reads it, and when."""
  asked = []

  class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
      asked.append(self.path)
      self.send_error(404)

    def log_message(self, *_):
      pass

  with http.server.HTTPServer(('127.0.0.1', 0), Server) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    builder = signing._builder(DUBBED, [])
    builder.set_no_embed()
    builder.set_remote_url(f'http://127.0.0.1:{server.server_port}/manifest.c2pa')
    remote = tmp_path / 'remote.mp4'
    with film('v.mp4').open('rb') as source, remote.open('w+b') as target:
      signing._sign(builder, credentials.load(*pems), 'video/mp4', source, target)
    assert b'/manifest.c2pa' in remote.read_bytes()
    assert manifests.read(remote) is None
    film('dub.mp4', marks(DUBBED, remote, None, *pems))
    server.shutdown()
  assert not asked
