"""Tells what a film, a picture or a sound says about its provenance, and what that proves.

  python -m lpips_jax.provenance dubbed.mp4
  python -m lpips_jax.provenance dubbed.mp4 --json
  python -m lpips_jax.provenance --make_certificate=DIRECTORY

The exit status is 1 if the file was signed and is not as it was signed, 2 if it cannot be read, else 0. The last form
writes a certificate and its key for --c2pa_cert and --c2pa_key of infer.py, to try signing with; nobody trusts it.
"""

import json
import sys

from absl import flags

from lpips_jax.core import cli
from lpips_jax.core.endings import FAILED
from lpips_jax.provenance.account import account
from lpips_jax.provenance.certificate import make_certificate
from lpips_jax.provenance.credentials import load_certificates
from lpips_jax.storage.transfer import local_input

_FILE = flags.DEFINE_string('file', None, 'The file, or its URL; may be given without a flag.')
_JSON = flags.DEFINE_bool('json', False, 'Print JSON.')
_TRUST_ANCHORS = flags.DEFINE_string('trust_anchors', None, 'A PEM file of authorities whose signers are trusted.')
_MAKE_CERTIFICATE = flags.DEFINE_string('make_certificate', None, 'A directory to write a self-made certificate to.')


def main() -> None:
  if _MAKE_CERTIFICATE.value:
    chain, key = make_certificate(_MAKE_CERTIFICATE.value)
    print(f'wrote {chain} and {key}: to try signing with; readers call its signatures untrusted')
    return
  if _FILE.value is None:
    cli.fail('give the file whose marks are to be read: python -m lpips_jax.provenance FILE')
  anchors = load_certificates(_TRUST_ANCHORS.value, 'trust_anchors').decode() if _TRUST_ANCHORS.value else ''
  with local_input(_FILE.value or '') as file:
    found = account(file, anchors)
  print(json.dumps(found.as_dict(), indent=2) if _JSON.value else '\n'.join(found.lines()))
  if found.is_broken:
    sys.exit(FAILED)


if __name__ == '__main__':
  cli.run(main, 'file', remote=('file',))
