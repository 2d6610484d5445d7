"""A self-made certificate: for its owner alone, and what C2PA's profile wants."""

import stat

import pytest

from lpips_jax.core.errors import UserError
from lpips_jax.provenance.certificate import make_certificate

x509 = pytest.importorskip('cryptography.x509')


def test_the_key_is_for_its_owner_alone(tmp_path):
  chain, key = make_certificate(tmp_path / 'new' / 'place')
  assert stat.S_IMODE(key.stat().st_mode) == 0o600 and key.read_text().startswith('-----BEGIN PRIVATE KEY')
  assert b'PRIVATE' not in chain.read_bytes()


def test_the_chain_holds_and_says_what_it_is(pems):
  own, authority = x509.load_pem_x509_certificates(pems[0].read_bytes())
  own.verify_directly_issued_by(authority)
  authority.verify_directly_issued_by(authority)
  assert 'trusted by nobody' in own.subject.rfc4514_string()
  assert not own.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_no_key_is_replaced(tmp_path):
  _, key = make_certificate(tmp_path)
  before = key.read_bytes()
  with pytest.raises(UserError, match='is there already'):
    make_certificate(tmp_path)
  assert key.read_bytes() == before
