"""C2PA manifests of a file: whether their signatures hold, and what they say."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lpips_jax.core.errors import first_line
from lpips_jax.provenance import reading, signing
from lpips_jax.provenance.statement import printable

TRUSTED, UNTRUSTED, INVALID, UNCHECKED, REMOVED = 'trusted', 'untrusted', 'invalid', 'unchecked', 'removed'
MAX_SHOWN = 64  # manifests, and actions, ingredients and problems of one


@dataclass(frozen=True)
class Manifest:
  """A manifest: what a signer says about one file of a chain.

  Attributes:
    tool: the program that made it.
    signer: the name in the certificate.
    actions: what was done, in C2PA's words, each with the digital source type if it has one.
    ingredients: what the file was made from, and in which relation.
  """

  tool: str
  signer: str
  actions: tuple[str, ...]
  ingredients: tuple[str, ...]


@dataclass(frozen=True)
class Signature:
  """The signature of a file.

  Attributes:
    state: `trusted`, `untrusted` (it holds, and nobody vouches for the signer), `invalid` (the file or its manifest is
      not as it was signed), `unchecked` (c2pa-python is not installed), `removed` (the file says that it was signed).
    problems: why it is not trusted, a line each.
    manifests: the file's own first, then those of what it was made from.
  """

  state: str
  problems: tuple[str, ...] = ()
  manifests: tuple[Manifest, ...] = ()


def read(path: Path, trust_anchors: str = '') -> Signature | None:
  """Checks the signature of a file.

  Args:
    path: a media file.
    trust_anchors: certificates in PEM of authorities whose signers are trusted; '' for nobody.

  Returns:
    The signature; None if there is none.
  """
  if not reading.has_manifest(path):
    return None
  if not signing.is_installed():
    return Signature(UNCHECKED)
  c2pa = signing.library()
  try:
    with path.open('rb') as file, c2pa.Reader(file, context=signing.context(trust_anchors)) as reader:
      return _signature(json.loads(reader.json()))
  except c2pa.C2paError as error:
    return Signature(INVALID, (printable(first_line(error)),))


def _signature(report: Mapping[str, Any]) -> Signature:
  """Returns what c2pa's report says; its form is that of the C2PA tool."""
  state = {'Trusted': TRUSTED, 'Valid': UNTRUSTED}.get(report.get('validation_state', ''), INVALID)
  found = report.get('validation_status') or []
  problems = [printable(f'{each.get("code", "")}: {each.get("explanation", "")}') for each in found]
  manifests = dict(report.get('manifests') or {})
  active = manifests.pop(report.get('active_manifest'), None)
  ordered = [active] * (active is not None) + list(reversed(manifests.values()))
  return Signature(state, tuple(problems[:MAX_SHOWN]), tuple(map(_manifest, ordered[:MAX_SHOWN])))


def _manifest(stated: Mapping[str, Any]) -> Manifest:
  tools = [f'{each.get("name", "")} {each.get("version", "")}' for each in stated.get('claim_generator_info') or []]
  signature = stated.get('signature_info') or {}
  actions = [
    f'{action.get("action", "")} {action.get("digitalSourceType", "")}'
    for assertion in stated.get('assertions') or []
    if str(assertion.get('label', '')).startswith('c2pa.actions')
    for action in assertion.get('data', {}).get('actions') or []
  ]
  made_from = [f'{each.get("title", "")} ({each.get("relationship", "")})' for each in stated.get('ingredients') or []]
  return Manifest(
    printable(tools[0] if tools else stated.get('claim_generator', '')),
    printable(f'{signature.get("common_name", "")} ({signature.get("issuer", "")})'),
    tuple(map(printable, actions[:MAX_SHOWN])),
    tuple(map(printable, made_from[:MAX_SHOWN])),
  )
