"""Marking a film that is being written: tags and XMP, and a signature if there is a certificate."""

import os
from dataclasses import replace
from pathlib import Path

from absl import logging

from lpips_jax.core.errors import UserError
from lpips_jax.core.files import PathLike
from lpips_jax.media.video_writer import FileMarks
from lpips_jax.provenance import credentials, isobmff, reading, signing, xmp
from lpips_jax.provenance.statement import SOURCE_TYPES, Mark, Statement, as_ingredients


def marks(
  statement: Statement,
  face: PathLike | None = None,
  audio: PathLike | None = None,
  cert: PathLike | None = None,
  key: PathLike | None = None,
) -> FileMarks:
  """Returns the marks of a film for `write_video`.

  Tags and XMP state IPTC's digital source type, the tool, and the marks of what the film was made from. With a
  certificate it is signed by C2PA, which keeps the manifests of what it was made from.

  Args:
    statement: about the film.
    face: the film or picture that it was made from, if any.
    audio: the sound that it was given, if any.
    cert, key: files in PEM; check them first by `check`, as only MP4 and QuickTime can be signed.

  Raises:
    UserError: an input cannot be read; later, the film cannot be signed.
  """
  if audio is not None and face is not None and os.path.samefile(face, audio):
    audio = None  # it is named already
  signed_with = None if cert is None or key is None else credentials.load(cert, key)
  ingredients = _ingredients('face', face, bool(signed_with)) + _ingredients('audio', audio, bool(signed_with))
  made_by_algorithm = any(mark.part == 'face' and mark.source_type == SOURCE_TYPES['animated'] for mark in ingredients)
  if statement.source_type == 'dubbed' and made_by_algorithm:
    statement = replace(statement, source_type='regenerated')
  packet = xmp.write(statement, ingredients, bool(signed_with))

  def seal(path: Path, container: str) -> None:
    if container == 'mp4':  # FFmpeg writes the tag as XMP in QuickTime's own place
      isobmff.append_xmp(path, packet)
    if signed_with is not None:
      signing.sign(path, container, statement, signed_with, face, audio)

  return FileMarks(_tags(statement, packet), seal)


def _tags(statement: Statement, packet: bytes) -> dict[str, str]:
  """Returns tags that say the same; MP4 has the comment alone."""
  source_type = SOURCE_TYPES[statement.source_type]
  return {
    reading.COMMENT: statement.in_words(),
    reading.SOURCE_TYPE_TAG.upper(): source_type,
    reading.XMP_TAG.upper(): packet.decode(),
  }


def _ingredients(part: str, path: PathLike | None, signs: bool) -> list[Mark]:
  """Returns the marks of an input, and logs what of them cannot be kept."""
  if path is None:
    return []
  try:
    found = reading.read(path)
  except UserError as error:
    logging.warning('the marks of provenance of %s are not kept: %s', path, error)
    return []
  if reading.has_manifest(path) and not signs:
    logging.warning(
      '%s carries a signed C2PA manifest: its statements are named, its signature is not kept, '
      'which needs c2pa_cert and c2pa_key',
      path,
    )
  return as_ingredients(part, found)
