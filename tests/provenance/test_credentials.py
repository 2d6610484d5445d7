"""Certificates and keys that cannot sign are refused in one line."""

import datetime

import pytest

from lpips_jax.core.errors import UserError
from lpips_jax.provenance import certificate, credentials

pytest.importorskip('cryptography')
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

PEM, PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
PLAIN = serialization.NoEncryption()


def written(directory, key, form=PKCS8, encryption=PLAIN):
  """Writes a key, and a certificate for it; returns both paths."""
  authority = ec.generate_private_key(ec.SECP256R1())
  chain = certificate._certificate(key, authority, ca=False), certificate._certificate(authority, authority, ca=True)
  (directory / 'chain.pem').write_bytes(b''.join(each.public_bytes(PEM) for each in chain))
  (directory / 'key.pem').write_bytes(key.private_bytes(PEM, form, encryption))
  return directory / 'chain.pem', directory / 'key.pem'


@pytest.mark.parametrize(
  ('key', 'algorithm'),
  [
    (ec.generate_private_key(ec.SECP256R1()), 'ES256'),
    (ec.generate_private_key(ec.SECP384R1()), 'ES384'),
    (ec.generate_private_key(ec.SECP521R1()), 'ES512'),
    (ed25519.Ed25519PrivateKey.generate(), 'ED25519'),
    (rsa.generate_private_key(65537, 2048), 'PS256'),
  ],
)
def test_keys_that_c2pa_knows_are_read(tmp_path, key, algorithm):
  found = credentials.load(*written(tmp_path, key))
  assert found.algorithm == algorithm and found.key.startswith(b'-----BEGIN PRIVATE KEY')


def test_the_older_form_of_a_key_is_read(tmp_path):
  paths = written(tmp_path, ec.generate_private_key(ec.SECP256R1()), serialization.PrivateFormat.TraditionalOpenSSL)
  assert b'BEGIN EC PRIVATE KEY' in paths[1].read_bytes()
  assert credentials.load(*paths).key.startswith(b'-----BEGIN PRIVATE KEY')


@pytest.mark.parametrize('key', [ec.generate_private_key(ec.SECP256K1()), rsa.generate_private_key(65537, 1024)])
def test_other_keys_are_refused(tmp_path, key):
  with pytest.raises(UserError, match='of a kind that C2PA does not sign with') as caught:
    credentials.load(*written(tmp_path, key))
  assert caught.value.options == ('c2pa_key',)


def test_files_that_are_none_of_it_are_refused(tmp_path, pems):
  chain, key = pems
  text = tmp_path / 'text'
  text.write_text('nothing')
  for cert, private, problem in (
    (tmp_path / 'none', key, 'c2pa_cert=.*none does not exist'),
    (chain, tmp_path / 'none', 'c2pa_key=.*none does not exist'),
    (tmp_path, key, 'is not a file'),
    (text, key, 'must hold certificates in PEM'),
    (chain, text, 'must hold a private key in PEM'),
    (key, key, 'must hold certificates'),
    (chain, chain, 'must hold a private key'),
  ):
    with pytest.raises(UserError, match=problem) as caught:
      credentials.load(cert, private)
    assert '\n' not in caught.value.as_flags() and caught.value.as_flags().count('--c2pa_') == 1


def test_certificates_alone_are_loaded_from_a_file_with_more(tmp_path, pems):
  (tmp_path / 'all.pem').write_bytes(b'text' + pems[1].read_bytes() + pems[0].read_bytes())
  assert credentials.load_certificates(tmp_path / 'all.pem', 'trust_anchors') == pems[0].read_bytes()
  with pytest.raises(UserError, match=r'trust_anchors=.* must hold certificates in PEM'):
    credentials.load_certificates(pems[1], 'trust_anchors')


def test_an_encrypted_key_is_refused(tmp_path):
  encryption = serialization.BestAvailableEncryption(b'secret')
  with pytest.raises(UserError, match=r'unencrypted'):
    credentials.load(*written(tmp_path, ec.generate_private_key(ec.SECP256R1()), encryption=encryption))


def test_a_key_of_another_certificate_is_refused(tmp_path, pems):
  other = written(tmp_path, ec.generate_private_key(ec.SECP256R1()))
  with pytest.raises(UserError, match='is not that of the first certificate'):
    credentials.load(pems[0], other[1])


def test_certificates_of_another_time_are_refused(tmp_path, pems, monkeypatch):
  class Later(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
      return super().now(tz) + datetime.timedelta(days=366 * certificate.YEARS)

  monkeypatch.setattr(credentials.datetime, 'datetime', Later)
  with pytest.raises(UserError, match=r'is valid from .* to .*: give one that is valid today'):
    credentials.load(*pems)
