"""Signing: refused before any work where it cannot be, and done so that c2pa's own reader confirms it."""

import io
import json
import logging
import sys

import cv2
import numpy as np
import pytest

from lpips_jax.core.errors import UserError
from lpips_jax.media.video_reader import read_frames
from lpips_jax.provenance import certificate, credentials, isobmff, signing
from lpips_jax.provenance.marking import marks
from lpips_jax.provenance.statement import IPTC, Statement

c2pa = pytest.importorskip('c2pa')
COMPOSITE, TRAINED = f'{IPTC}compositeWithTrainedAlgorithmicMedia', f'{IPTC}trainedAlgorithmicMedia'
NAMES = 'v.mp4', 'v.m4v', 'v.mov'
DUBBED = Statement('dubbed', model='m', voice='v')


def report(path) -> dict:
  """Returns what c2pa's reader says of a file."""
  with path.open('rb') as file, c2pa.Reader(file, context=signing.context()) as reader:
    return json.loads(reader.json())


def active(found: dict) -> tuple[list[tuple], list[tuple]]:
  """Returns actions and ingredients of a file's own manifest."""
  manifest = found['manifests'][found['active_manifest']]
  (stated,) = [each for each in manifest['assertions'] if each['label'].startswith('c2pa.actions')]
  actions = [(each['action'], each.get('digitalSourceType')) for each in stated['data']['actions']]
  made_from = manifest.get('ingredients', [])
  return actions, [(each['title'], each['relationship'], 'active_manifest' in each) for each in made_from]


@pytest.mark.parametrize('name', NAMES)
def test_a_signature_holds_and_nothing_else_changes(tmp_path, film, packets, pems, name):
  plain = packets(film(f'plain_{name}'))
  path = film(name, marks(DUBBED, None, None, *pems))
  found = report(path)
  assert found['validation_state'] == 'Valid'
  assert [each['code'] for each in found['validation_status']] == ['signingCredential.untrusted']
  assert active(found) == ([('c2pa.created', COMPOSITE), ('c2pa.edited', COMPOSITE)], [])
  assert packets(path) == plain and len(list(read_frames(path))) == 8
  kinds = [box.kind for box in isobmff.top_boxes(path)]
  assert kinds.index(b'moov') < kinds.index(b'mdat') and kinds.count(isobmff.C2PA_UUID) == 1
  assert sorted(each.name for each in tmp_path.iterdir()) == sorted([f'plain_{name}', name, 'speech.wav'])


def test_manifests_of_face_and_audio_are_kept(film, sound, pems):
  face = film('face.mp4', marks(Statement('animated'), None, None, *pems))
  film('speech.mp4', marks(DUBBED, None, None, *pems))
  found = report(film('v.mp4', marks(DUBBED, face, face.with_name('speech.mp4'), *pems)))
  actions, ingredients = active(found)
  assert found['validation_state'] == 'Valid' and len(found['manifests']) == 3
  assert ingredients == [('face', 'parentOf', True), ('audio', 'componentOf', True)]
  assert actions == [('c2pa.opened', None), ('c2pa.placed', None), ('c2pa.edited', TRAINED)]


def test_an_input_of_another_format_is_no_ingredient(film, sound, pems):
  found = report(film('v.mp4', marks(DUBBED, film('face.mkv'), sound, *pems)))
  actions, ingredients = active(found)
  assert actions[0] == ('c2pa.created', COMPOSITE) and ingredients == [('audio', 'componentOf', False)]


def test_a_signed_picture_is_kept_as_the_parent(tmp_path, film, sound, pems):
  picture = io.BytesIO(cv2.imencode('.png', np.zeros((8, 8, 3), np.uint8))[1].tobytes())
  with (tmp_path / 'face.png').open('w+b') as target:
    signing._sign(signing._builder(DUBBED, []), credentials.load(*pems), 'image/png', picture, target)
  found = report(film('v.mp4', marks(Statement('animated'), tmp_path / 'face.png', sound, *pems)))
  actions, ingredients = active(found)
  assert ingredients[0] == ('face', 'parentOf', True) and actions[-1] == ('c2pa.edited', TRAINED)


def test_a_changed_face_is_kept_with_what_is_wrong(film, pems):
  face = film('face.mp4', marks(DUBBED, None, None, *pems))
  content = bytearray(face.read_bytes())
  content[content.index(b'mdat') + 40] ^= 1
  face.write_bytes(content)
  found = report(film('v.mp4', marks(DUBBED, face, None, *pems)))
  manifest = found['manifests'][found['active_manifest']]
  failures = manifest['ingredients'][0]['validation_results']['activeManifest']['failure']
  assert found['validation_state'] == 'Valid' and 'assertion.bmffHash.mismatch' in [each['code'] for each in failures]


def test_a_damaged_manifest_of_the_face_does_not_stop_a_dub(film, pems, caplog):
  face = film('face.mp4', marks(DUBBED, None, None, *pems))
  content = face.read_bytes()
  place = content.index(b'c2pa.assertions')
  face.write_bytes(content[:place] + bytes(400) + content[place + 400 :])
  with caplog.at_level(logging.WARNING):
    found = report(film('v.mp4', marks(DUBBED, face, None, *pems)))
  assert found['validation_state'] == 'Valid' and active(found)[1] == [] and 'is not kept: it is damaged' in caplog.text


def test_signed_inputs_and_no_certificate_are_told_in_one_line(film, pems, caplog):
  face = film('face.mp4', marks(DUBBED, None, None, *pems))
  with caplog.at_level(logging.WARNING):
    film('v.mp4', marks(DUBBED, face, face))
  assert len(caplog.records) == 1 and 'its signature is not kept' in caplog.text


def test_a_failure_leaves_nothing(tmp_path, film, pems, monkeypatch):
  made = marks(DUBBED, None, None, *pems)
  before = sorted(tmp_path.iterdir())

  def fail(*_):
    raise c2pa.C2paError('no')

  monkeypatch.setattr(signing, '_sign', fail)
  with pytest.raises(UserError, match='the output cannot be signed'):
    film('v.mp4', made)
  assert sorted(tmp_path.iterdir()) == before


def test_what_can_be_signed_passes_the_check(pems):
  assert signing.check('v.mkv', None, None) is None
  assert all(signing.check(name, *pems).algorithm == 'ES256' for name in (*NAMES, 'V.MP4'))


@pytest.mark.parametrize('name', ['v.mkv', 'v.webm'])
def test_containers_that_hold_no_signature_are_refused(name, pems):
  with pytest.raises(UserError, match=r'choose \.mp4, \.m4v or \.mov') as caught:
    signing.check(name, *pems)
  assert '--c2pa_cert' in caught.value.as_flags()


def test_nothing_says_that_it_is_signed_where_it_cannot_be(tmp_path, film, pems):
  with pytest.raises(UserError, match='C2PA cannot sign a file of matroska'):
    film('v.mkv', marks(DUBBED, None, None, *pems))
  assert not (tmp_path / 'v.mkv').exists()


def test_a_certificate_without_its_key_is_refused(pems):
  for given in ((pems[0], None), (None, pems[1])):
    with pytest.raises(UserError, match='c2pa_cert and c2pa_key belong together'):
      signing.check('v.mp4', *given)


def test_certificates_that_c2pa_refuses_are_found_before_any_work(tmp_path, pems):
  """One that is an authority's own, and one that does not say what it is for."""
  serialization = pytest.importorskip('cryptography.hazmat.primitives.serialization')
  x509 = pytest.importorskip('cryptography.x509')
  key = serialization.load_pem_private_key(pems[1].read_bytes(), None)
  own = x509.load_pem_x509_certificate(pems[0].read_bytes())
  bare = x509.CertificateBuilder(own.issuer, own.subject, own.public_key(), own.serial_number)
  bare = bare.not_valid_before(own.not_valid_before_utc).not_valid_after(own.not_valid_after_utc)
  for refused in (certificate._certificate(key, key, ca=True), bare.sign(key, own.signature_hash_algorithm)):
    (tmp_path / 'refused.pem').write_bytes(refused.public_bytes(serialization.Encoding.PEM))
    with pytest.raises(UserError, match=r'c2pa_cert=.*refused\.pem is refused') as caught:
      signing.check('v.mp4', tmp_path / 'refused.pem', pems[1])
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('module', ['c2pa', 'cryptography'])
def test_a_missing_extra_is_told(monkeypatch, pems, module):
  monkeypatch.setitem(sys.modules, module, None)
  with pytest.raises(UserError, match=r"pip install 'lpips-jax\[c2pa\]'"):
    signing.check('v.mp4', *pems)
