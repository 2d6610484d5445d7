"""Accounts of provenance: they say what was found, what it proves, and no more."""

import pytest

from lpips_jax.core.errors import UserError
from lpips_jax.provenance import isobmff
from lpips_jax.provenance.account import PROOFS, UNMARKED, UNSIGNED, Account, account
from lpips_jax.provenance.manifests import INVALID, REMOVED, UNTRUSTED, Manifest, Signature
from lpips_jax.provenance.marking import marks
from lpips_jax.provenance.statement import IPTC, Mark, Statement, this_tool

DUBBED = Statement('dubbed', model='demo', voice='a voice')


def test_an_unmarked_file_is_not_called_a_recording(film):
  found = account(film('v.mp4'))
  assert list(found.lines()) == ['no marks of provenance in its metadata', 'signature: none', UNMARKED]
  assert not found.is_broken


def test_marks_are_told_in_words(film, sound):
  first = film('first.mkv', marks(DUBBED))
  lines = list(account(film('v.webm', marks(Statement('animated'), first, sound))).lines())
  assert lines == [
    f'the file: made by a trained algorithm (AI) (IPTC: trainedAlgorithmicMedia), by {this_tool()}',
    'face: edited by a trained algorithm (AI) (IPTC: compositeWithTrainedAlgorithmicMedia), '
    f'by {this_tool()}, model demo, with synthetic speech (a voice)',
    'signature: none',
    UNSIGNED,
  ]


def test_source_types_of_others_are_shown_as_they_are():
  lines = Account((Mark('', f'{IPTC}tomorrowsMedia'), Mark('face', c2pa=True)), None).lines()
  assert next(lines) == f'the file: {IPTC}tomorrowsMedia'
  assert next(lines) == 'face: does not say how it was made, with a C2PA manifest'


def test_a_signature_is_told_with_all_its_manifests():
  manifest = Manifest('tool 1', 'somebody', ('c2pa.opened', 'c2pa.edited x'), ('face (parentOf)',))
  found = Account((Mark(c2pa=True),), Signature(UNTRUSTED, ('a problem',), (manifest,)))
  assert list(found.lines())[1:] == [
    'signature: untrusted',
    '  a problem',
    '  signed by somebody, made with tool 1',
    '    c2pa.opened',
    '    c2pa.edited x',
    '    face (parentOf)',
    PROOFS[UNTRUSTED],
  ]
  assert found.as_dict()['signature']['manifests'][0]['signer'] == 'somebody'
  assert found.as_dict()['proofs'] == [PROOFS[UNTRUSTED]] and not found.is_broken


def test_a_signature_that_was_removed_is_told(film, pems):
  path = film('v.mp4', marks(DUBBED, None, None, *pems))
  assert account(path).signature.state == UNTRUSTED
  content = bytearray(path.read_bytes())
  manifest = next(box for box in isobmff.top_boxes(path) if box.kind == isobmff.C2PA_UUID)
  content[manifest.begin - 20 : manifest.begin] = b'free' + bytes(16)
  path.write_bytes(content)
  found = account(path)
  assert found.signature == Signature(REMOVED) and found.is_broken


def test_damaged_xmp_is_an_error_unless_a_signature_tells_of_the_change(film, pems):
  for given, broken in (((), False), (pems, True)):
    path = film('v.mp4', marks(DUBBED, None, None, *given))
    path.write_bytes(path.read_bytes().replace(b'</rdf:RDF>', b'</rdf:RDG>'))
    if broken:
      assert account(path).signature.state == INVALID and account(path).is_broken
    else:
      with pytest.raises(UserError, match='the XMP is damaged'):
        account(path)
