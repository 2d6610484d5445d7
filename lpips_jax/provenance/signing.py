"""Signing with C2PA (Content Credentials), and reading what others signed; needs the extra `[c2pa]`.

The network is never used: no manifest is fetched, no certificate's status asked for, no time stamp ordered.
"""

import functools
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from absl import logging

from lpips_jax.core.errors import UserError, first_line
from lpips_jax.core.files import PathLike
from lpips_jax.provenance import credentials
from lpips_jax.provenance.certificate import EXTRA
from lpips_jax.provenance.credentials import OPTIONS, SIGNED_SUFFIXES, Credentials
from lpips_jax.provenance.statement import PACKAGE, SOURCE_TYPES, Statement, this_version

if TYPE_CHECKING:
  import c2pa

FORMATS = {'mp4': 'video/mp4', 'mov': 'video/quicktime'}  # C2PA's, by FFmpeg's name of the container
# C2PA's format of a file by bytes at a place in it; in other formats, such as Matroska, there are no manifests.
SIGNATURES = (
  (4, b'ftyp', 'video/mp4'),
  (0, b'\x89PNG', 'image/png'),
  (0, b'\xff\xd8\xff', 'image/jpeg'),
  (8, b'WEBP', 'image/webp'),
  (8, b'WAVE', 'audio/wav'),
  (8, b'AVI ', 'video/avi'),
  (0, b'ID3', 'audio/mpeg'),
  (0, b'fLaC', 'audio/flac'),
  (0, b'GIF8', 'image/gif'),
)
SETTINGS = {
  'core': {'backing_store_memory_threshold_in_mb': 16},  # larger copies go to a file, so that memory is bounded
  'verify': {'remote_manifest_fetch': False, 'ocsp_fetch': False},
  'builder': {'thumbnail': {'enabled': False}},
}


def check(output: PathLike, cert: PathLike | None, key: PathLike | None) -> Credentials | None:
  """Checks that a film can be signed, by signing a picture of one pixel; to be called before any work is done for it.

  Args:
    output: the file that will be signed.
    cert, key: see `credentials.load`; both None where nothing is to be signed.

  Returns:
    What it will be signed with; None if nothing is to be signed.

  Raises:
    UserError: it cannot be signed.
  """
  if cert is None and key is None:
    return None
  if cert is None or key is None:
    raise UserError('c2pa_cert and c2pa_key belong together: give both', *OPTIONS)
  suffix = Path(output).suffix.lower()
  if suffix not in SIGNED_SUFFIXES:
    *others, last = SIGNED_SUFFIXES
    raise UserError(f'C2PA cannot sign a {suffix} file: choose {", ".join(others)} or {last}', *OPTIONS)
  library()
  signed_with = credentials.load(cert, key)
  picture = io.BytesIO(cv2.imencode('.png', np.zeros((1, 1, 3), np.uint8))[1].tobytes())
  try:
    _sign(_builder(Statement('dubbed'), []), signed_with, 'image/png', picture, io.BytesIO())
  except library().C2paError as error:
    raise UserError(
      f'c2pa_cert={cert} is refused ({first_line(error)}): see docs/provenance.md', 'c2pa_cert'
    ) from error
  return signed_with


def library() -> Any:
  """Returns the module c2pa; raises UserError if it is not installed."""
  try:
    import c2pa
  except ImportError as error:
    raise UserError(EXTRA, *OPTIONS) from error
  return c2pa


def is_installed() -> bool:
  try:
    return bool(library())
  except UserError:
    return False


def sign(
  path: Path,
  container: str,
  statement: Statement,
  signed_with: Credentials,
  face: PathLike | None = None,
  audio: PathLike | None = None,
) -> None:
  """Signs a film in place: last of all, as any change to it breaks the signature.

  Args:
    path: the film.
    container: FFmpeg's name of its container.
    statement: what was done.
    signed_with: from `check`.
    face, audio: what it was made from; their manifests are kept, as those of the parent and of a component.

  Raises:
    UserError: it cannot be signed.
    OSError: there is no room for it.
  """
  if container not in FORMATS:
    raise UserError(f'C2PA cannot sign a file of {container}: choose another suffix', *OPTIONS)
  builder = _builder(statement, [('face', 'parentOf', face), ('audio', 'componentOf', audio)])
  signed = path.with_name(f'{path.name}.c2pa')
  try:
    with path.open('rb') as source, signed.open('x+b') as target:
      _sign(builder, signed_with, FORMATS[container], source, target)
    os.replace(signed, path)
  except library().C2paError as error:
    raise UserError(f'the output cannot be signed ({first_line(error)})', *OPTIONS) from error
  finally:
    signed.unlink(missing_ok=True)


@functools.cache
def context(trust_anchors: str = '') -> 'c2pa.Context':
  """Returns c2pa's settings: no network, and whom to trust: certificates in PEM."""
  module = library()
  trust = {'trust': {'trust_anchors': trust_anchors}} if trust_anchors else {}
  return module.Context(settings=module.Settings.from_dict(SETTINGS | trust))


def _builder(statement: Statement, ingredients: list[tuple[str, str, PathLike | None]]) -> 'c2pa.Builder':
  """Returns the manifest of a film that was made from ingredients, each a name, a relation, and a file."""
  source_type = SOURCE_TYPES[statement.source_type]
  agent = {'name': PACKAGE, 'version': this_version()}
  builder = library().Builder({'claim_generator_info': [agent]}, context=context())
  kept = [name for name, relation, path in ingredients if path is not None and _add(builder, name, relation, path)]
  begun: dict[str, Any] = {'action': 'c2pa.created', 'digitalSourceType': source_type}
  if 'face' in kept:
    begun = {'action': 'c2pa.opened', 'parameters': {'ingredientIds': ['face']}}
  builder.add_action(begun)
  if 'audio' in kept:
    builder.add_action({'action': 'c2pa.placed', 'parameters': {'ingredientIds': ['audio']}})
  builder.add_action(
    {
      'action': 'c2pa.edited',
      'digitalSourceType': source_type,
      'softwareAgent': agent,
      'description': statement.in_words(),
    }
  )
  return builder


def _add(builder: 'c2pa.Builder', name: str, relation: str, path: PathLike) -> bool:
  """Adds an ingredient if it is of a format that C2PA knows, and returns whether it is."""
  with Path(path).open('rb') as file:
    head = file.read(16)
    form = next((form for place, mark, form in SIGNATURES if head[place : place + len(mark)] == mark), None)
    if form is None:
      return False
    file.seek(0)
    try:
      builder.add_ingredient({'title': name, 'relationship': relation, 'label': name}, form, file)
    except library().C2paError as error:
      logging.warning('the C2PA manifest of %s is not kept: it is damaged (%s)', path, first_line(error))
      return False
  return True


def _sign(builder: 'c2pa.Builder', signed_with: Credentials, form: str, source: Any, target: Any) -> None:
  module = library()
  algorithm = module.C2paSigningAlg[signed_with.algorithm]
  info = module.C2paSignerInfo(algorithm, signed_with.chain, signed_with.key, None)
  with module.Signer.from_info(info) as signer, builder:
    builder.sign(signer, form, source, target)
