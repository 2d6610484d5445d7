"""Certificates for signing: a self-made one to try signing with, which nobody trusts."""

import datetime
from pathlib import Path

from lpips_jax.core.errors import UserError
from lpips_jax.core.files import PathLike, check_replaceable, expand_user, write_whole
from lpips_jax.provenance.statement import PACKAGE

CHAIN, KEY = 'chain.pem', 'key.pem'
YEARS = 10  # without a time stamp, a signature is good for as long as its certificate is
NAME = f'{PACKAGE}: self-made, trusted by nobody'
EXTRA = "this needs c2pa-python and cryptography: pip install 'lpips-jax[c2pa]'"


def make_certificate(directory: PathLike) -> tuple[Path, Path]:
  """Makes a key, and a certificate for it from an authority whose own key is thrown away.

  C2PA wants a certificate that its owner has not signed alone. Readers call the signatures valid and untrusted: they
  prove no more than that a file is as the holder of the key signed it.

  Args:
    directory: where `CHAIN` and `KEY` are written, the key readable by its owner alone; made if it does not exist.

  Returns:
    Both paths.

  Raises:
    UserError: one of them is there already, or cryptography is not installed.
  """
  try:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
  except ImportError as error:
    raise UserError(EXTRA) from error

  directory = expand_user(directory)
  directory.mkdir(parents=True, exist_ok=True)
  chain, key = directory / CHAIN, directory / KEY
  for path in chain, key:
    check_replaceable(path)
    if path.exists():
      raise UserError(f'{path} is there already, and is not replaced: give another directory')
  authority, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
  certificates = _certificate(own, authority, ca=False), _certificate(authority, authority, ca=True)
  pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
  key.touch(mode=0o600)
  key.write_bytes(own.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
  write_whole(chain, b''.join(each.public_bytes(pem) for each in certificates))
  return chain, key


def _certificate(owner, authority, ca: bool):  # of cryptography, which may not be installed
  """Returns a certificate with what C2PA's profile wants of one."""
  from cryptography import x509
  from cryptography.hazmat.primitives import hashes
  from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

  def name(of_authority: bool) -> x509.Name:
    title = f'{NAME}{" (authority)" if of_authority else ""}'
    texts = (NameOID.ORGANIZATION_NAME, PACKAGE), (NameOID.COMMON_NAME, title)
    return x509.Name([x509.NameAttribute(oid, text) for oid, text in texts])

  now = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)  # clocks differ
  flags = ('content_commitment', 'key_encipherment', 'data_encipherment', 'key_agreement', 'encipher_only')
  usage = x509.KeyUsage(
    digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, decipher_only=False, **dict.fromkeys(flags, False)
  )
  builder = (
    x509.CertificateBuilder()
    .subject_name(name(ca))
    .issuer_name(name(True))
    .public_key(owner.public_key())
    .serial_number(x509.random_serial_number())
    .not_valid_before(now)
    .not_valid_after(now + datetime.timedelta(days=365 * YEARS))
    .add_extension(x509.BasicConstraints(ca, None), critical=True)
    .add_extension(usage, critical=True)
    .add_extension(x509.SubjectKeyIdentifier.from_public_key(owner.public_key()), critical=False)
    .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
  )
  if not ca:
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
  return builder.sign(authority, hashes.SHA256())
