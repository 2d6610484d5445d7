"""A certificate and its key, as C2PA signs with them, checked before any work is done."""

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lpips_jax.core.errors import UserError
from lpips_jax.core.files import PathLike, expand_user
from lpips_jax.provenance.certificate import EXTRA

if TYPE_CHECKING:
  from cryptography.x509 import Certificate

SIGNED_SUFFIXES = '.mp4', '.m4v', '.mov'
MAX_PEM_BYTES = 1 << 20
MIN_RSA_BITS = 2048
CURVES = {'secp256r1': 'ES256', 'secp384r1': 'ES384', 'secp521r1': 'ES512'}
OPTIONS = 'c2pa_cert', 'c2pa_key'


class Credentials(NamedTuple):
  """A certificate and its key.

  Attributes:
    algorithm: of the signature, by its name in `c2pa.C2paSigningAlg`.
    chain: certificates in PEM, the signer's own first.
    key: its private key in PEM, PKCS 8.
  """

  algorithm: str
  chain: bytes
  key: bytes


def load(cert: PathLike, key: PathLike) -> Credentials:
  """Reads a certificate and its key.

  Args:
    cert: a PEM file of certificates, the signer's own first, then those of its authorities.
    key: a PEM file of the signer's private key, not encrypted: on a curve of NIST, Ed25519, or RSA.

  Raises:
    UserError: one of them cannot be read or used, or they do not belong together; or the extra is not installed.
  """
  certificates = load_certificates(cert, 'c2pa_cert')
  from cryptography import x509
  from cryptography.hazmat.primitives import serialization

  chain = x509.load_pem_x509_certificates(certificates)
  secret: Any = _parsed(
    key, lambda text: serialization.load_pem_private_key(text, None), 'c2pa_key', 'a private key in PEM, unencrypted'
  )
  _check_time(cert, chain[0])
  pem = serialization.Encoding.PEM
  form = serialization.PublicFormat.SubjectPublicKeyInfo
  if secret.public_key().public_bytes(pem, form) != chain[0].public_key().public_bytes(pem, form):
    raise UserError(f'the key {key} is not that of the first certificate in {cert}: give the two that match', *OPTIONS)
  pkcs8 = secret.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
  return Credentials(_algorithm(secret, key), certificates, pkcs8)


def load_certificates(path: PathLike, option: str) -> bytes:
  """Returns the certificates of a PEM file, and nothing else that it holds; raises UserError, naming the option."""
  try:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
  except ImportError as error:
    raise UserError(EXTRA, option) from error
  found = _parsed(path, x509.load_pem_x509_certificates, option, 'certificates in PEM')
  return b''.join(each.public_bytes(serialization.Encoding.PEM) for each in found)


def _parsed(path: PathLike, parse: Callable[[bytes], Any], option: str, wanted: str) -> Any:
  """Returns a file parsed by cryptography, whose errors are of many kinds."""
  path = expand_user(path)
  if not path.is_file():
    raise UserError(f'{option}={path} {"is not a file" if path.exists() else "does not exist"}', option)
  text = _read(path)
  try:
    return parse(text)
  except Exception as error:
    raise UserError(f'{option}={path} must hold {wanted}', option) from error


def _read(path: Path) -> bytes:
  with path.open('rb') as file:
    return file.read(MAX_PEM_BYTES)


def _check_time(path: PathLike, certificate: 'Certificate') -> None:
  now = datetime.datetime.now(datetime.UTC)
  if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
    begin, end = (f'{time:%Y-%m-%d}' for time in (certificate.not_valid_before_utc, certificate.not_valid_after_utc))
    raise UserError(f'c2pa_cert={path} is valid from {begin} to {end}: give one that is valid today', 'c2pa_cert')


def _algorithm(key: Any, path: PathLike) -> str:
  """Returns C2PA's algorithm for a key."""
  from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

  if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in CURVES:
    return CURVES[key.curve.name]
  if isinstance(key, ed25519.Ed25519PrivateKey):
    return 'ED25519'
  if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= MIN_RSA_BITS:
    return 'PS256'
  kinds = f'P-256, P-384, P-521, Ed25519, or RSA of {MIN_RSA_BITS} bits or more'
  raise UserError(f'c2pa_key={path} is of a kind that C2PA does not sign with: give one of {kinds}', 'c2pa_key')
