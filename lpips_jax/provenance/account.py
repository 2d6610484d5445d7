"""An account of a file's provenance: all its marks, what they prove, and what they do not."""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lpips_jax.core.errors import UserError
from lpips_jax.core.files import PathLike
from lpips_jax.provenance import manifests, reading
from lpips_jax.provenance.manifests import INVALID, REMOVED, TRUSTED, UNCHECKED, UNTRUSTED, Signature
from lpips_jax.provenance.statement import IPTC, Mark

SOURCE_TYPES_IN_WORDS = {
  'algorithmicMedia': 'drawn by a program that was not trained on data',
  'algorithmicallyEnhanced': 'a recording that an algorithm enhanced',
  'composite': 'put together from several sources',
  'compositeCapture': 'put together from several recordings',
  'compositeSynthetic': 'put together from several sources, synthetic ones among them',
  'compositeWithTrainedAlgorithmicMedia': 'edited by a trained algorithm (AI)',
  'computationalCapture': 'a recording that a camera computed from several exposures',
  'dataDrivenMedia': 'drawn from data',
  'digitalCapture': 'a recording by a camera or a microphone',
  'digitalCreation': 'made by a person with software',
  'humanEdits': 'edited by a person',
  'screenCapture': 'a recording of a screen',
  'trainedAlgorithmicMedia': 'made by a trained algorithm (AI)',
  'virtualRecording': 'a recording of a virtual event',
}
PROOFS = {
  TRUSTED: 'The signature proves that the file is unchanged since its signer, for whom the given authorities vouch, '
  'signed it. That what it says is true is the word of the signer.',
  UNTRUSTED: 'The signature proves that the file is unchanged since whoever holds the key signed it, and not who that '
  'is: no given authority vouches for the name.',
  INVALID: 'The file, or its manifest, is NOT as it was signed: somebody or something changed it since.',
  REMOVED: 'The file says that it was signed, and has no signature that can be read: it was removed or damaged.',
  UNCHECKED: "The signature was not checked, which needs the extra: pip install 'lpips-jax[c2pa]'.",
}
UNSIGNED = 'An unsigned mark proves nothing: anybody can write, change or remove it.'
UNMARKED = 'That there are no marks does not prove that this is a recording: they are easily removed.'


@dataclasses.dataclass(frozen=True)
class Account:
  """The marks of a file.

  Attributes:
    marks: of metadata: the file's own first, unless it has none, then those of what it was made from.
    signature: by C2PA; None if there is none.
  """

  marks: tuple[Mark, ...]
  signature: Signature | None

  @property
  def is_broken(self) -> bool:
    """True if the file was signed, and is not as it was signed."""
    return self.signature is not None and self.signature.state in (INVALID, REMOVED)

  @property
  def proofs(self) -> list[str]:
    """Sentences on what the marks prove, and what they do not."""
    signed = [] if self.signature is None else [PROOFS[self.signature.state]]
    return signed or ([UNSIGNED] if self.marks else [UNMARKED])

  def as_dict(self) -> dict[str, Any]:
    return dataclasses.asdict(self) | {'proofs': self.proofs}

  def lines(self) -> Iterator[str]:
    """Yields the account in lines for people."""
    if not self.marks:
      yield 'no marks of provenance in its metadata'
    for mark in self.marks:
      yield f'{mark.part or "the file"}: {_in_words(mark)}'
    if self.signature is None:
      yield 'signature: none'
    else:
      yield f'signature: {self.signature.state}'
      yield from (f'  {problem}' for problem in self.signature.problems)
      for manifest in self.signature.manifests:
        yield f'  signed by {manifest.signer}, made with {manifest.tool}'
        yield from (f'    {line}' for line in (*manifest.actions, *manifest.ingredients))
    yield from self.proofs


def account(path: PathLike, trust_anchors: str = '') -> Account:
  """Reads the marks of a film, a picture or a sound.

  Args:
    path: the file.
    trust_anchors: certificates in PEM of authorities whose signers are trusted; '' for nobody.

  Raises:
    UserError: it is no media file, or its metadata are damaged, unless a signature shows that they were changed.
  """
  try:
    marks = tuple(reading.read(path))
  except UserError:
    signature = manifests.read(Path(path), trust_anchors) if os.path.isfile(path) else None
    if signature is None or signature.state != INVALID:
      raise
    return Account((), signature)
  signature = manifests.read(Path(path), trust_anchors)
  if signature is None and marks and not marks[0].part and marks[0].c2pa:
    signature = Signature(REMOVED)
  return Account(marks, signature)


def _in_words(mark: Mark) -> str:
  code = mark.source_type.removeprefix(IPTC)
  words = SOURCE_TYPES_IN_WORDS.get(code)
  parts = [
    f'{words} (IPTC: {code})' if words else mark.source_type or 'does not say how it was made',
    f'by {mark.tool}' if mark.tool else '',
    f'model {mark.model}' if mark.model else '',
    f'with synthetic speech ({mark.voice})' if mark.voice else '',
    'with a C2PA manifest' if mark.c2pa else '',
  ]
  return ', '.join(filter(None, parts))
