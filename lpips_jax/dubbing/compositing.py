"""Frames with boxes in, frames with new mouths out: crop, generate, composite."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lpips_jax.dubbing.cutout import Face, cut_out, large_crop
from lpips_jax.dubbing.lookahead import LookaheadResult
from lpips_jax.dubbing.preview import Watch
from lpips_jax.dubbing.speech import Speech
from lpips_jax.faces import cropping, warping
from lpips_jax.faces.pose import UNMOVED, in_pose, pose_between
from lpips_jax.media import ycbcr
from lpips_jax.media.pictures import to_bytes
from lpips_jax.media.playback import Shown

if TYPE_CHECKING:  # bad input is told before JAX is waited for
  from lpips_jax.dubbing.generator import Generator

MOST_HELD = 256 << 20  # bytes of frames in a batch
PREVIEW_SIDE = 960  # pixels: the longer side of frames that are watched


class Reference(NamedTuple):
  """A face of the same person that the generator is shown: (r, r, 3) uint8, and its pose, from `faces.pose`."""

  face: np.ndarray
  pose: np.ndarray


@dataclass(eq=False)
class Batch:
  """Frames whose faces are generated together; the result may not be there yet."""

  frames: list[tuple[Shown, list[Face]]] = field(default_factory=list)
  references: list[Reference] = field(default_factory=list)  # of the faces, in their order
  generated: list[Future[np.ndarray]] = field(default_factory=list)  # what becomes of them, in parts

  @property
  def faces(self) -> list[tuple[Shown, Face]]:
    return [(shown, face) for shown, found in self.frames for face in found]


class References:
  """Chooses what the generator is shown of a person beside the frame that it changes.

  Args:
    looked: what a look ahead has found; None shows the frame itself, always.
    rest: whether mouths at rest are shown throughout, or in pauses of the speech alone.
  """

  def __init__(self, looked: LookaheadResult | None, rest: bool) -> None:
    self._looked, self._rest = looked, rest
    self._poses: dict[int, np.ndarray] = {}

  def __call__(self, shown: Shown, found: Sequence[Face], in_pause: bool) -> list[Reference]:
    """Returns a reference for each face of a frame."""
    if self._looked is None or not (self._rest or in_pause):
      return [Reference(large_crop(shown, face), UNMOVED) for face in found]
    mouths = self._looked.mouths_in(shown.index)
    people = self._looked.people[shown.index]
    return [self._in_pose(*each) for each in zip(people, mouths, found, strict=True)]

  def _in_pose(self, person: int, mouth: np.ndarray, face: Face) -> Reference:
    """From one frame to the next a head moves little: the last pose is where the next is sought."""
    self._poses[person] = pose_between(face.crop, mouth, self._poses.get(person, UNMOVED))
    return Reference(mouth, self._poses[person])


def generate(
  frames: Iterable[tuple[Shown, Sequence[np.ndarray]]],
  speech: Speech,
  generator: 'Generator',
  references: References | None = None,
) -> Iterator[Batch]:
  """Crops the faces of frames and begins to generate their mouths, at most `generator.batch_size` frames at once.

  Args:
    frames: each with its boxes, (5,) in pixels.
    speech: what is said.
    generator: the network.
    references: what it is shown beside each face; by default the face itself.
  """
  references, batch = references or References(None, False), Batch()
  for shown, boxes in frames:
    found = [face for box in boxes if (face := cut_out(shown, box, generator.image_size)) is not None]
    most = min(generator.batch_size, max(1, MOST_HELD // shown.planes.samples.nbytes))
    if batch.frames and (len(batch.frames) >= most or len(batch.faces) + len(found) > generator.batch_size):
      yield _begun(batch, speech, generator)
      batch = Batch()
    batch.frames.append((shown, found))
    batch.references += references(shown, found, speech.rests_at(shown.time))
  if batch.frames:
    yield _begun(batch, speech, generator)


def composite(batches: Iterable[Batch], sharpen: float = 0.0, watch: Watch | None = None) -> Iterator[Shown]:
  """Puts generated mouths into their frames, in place, and passes the frames on in order.

  Args:
    batches: from `generate`.
    sharpen: see `faces.cropping.change`.
    watch: sees each frame before and after; from `preview.write_preview`.
  """
  for batch in batches:
    made = (one for part in batch.generated for one in part.result())
    images = (_image(one, reference) for one, reference in zip(made, batch.references, strict=True))
    for shown, found in batch.frames:
      before = None if watch is None else ycbcr.reduced_rgb(shown.planes, PREVIEW_SIDE)
      new = [next(images) for _ in found]
      for face, image in zip(found, new, strict=True):
        ycbcr.add(shown.planes, face.region, cropping.change(face.rgb, face.box, image, face.crop, sharpen))
      if watch is not None:
        watch(shown.time, before, new, ycbcr.reduced_rgb(shown.planes, PREVIEW_SIDE))
      yield shown


def _image(made: np.ndarray, reference: Reference) -> np.ndarray:
  """The face that a network has made, (s, s, 3) uint8: painted by it, or of the reference's size, its pixels moved."""
  return to_bytes(made) if made.shape[-1] == 3 else warping.compose(made, *reference)


def _begun(batch: Batch, speech: Speech, generator: 'Generator') -> Batch:
  found = batch.faces
  windows = speech([shown.time for shown, _ in found], generator.lead) if found else []
  for first in range(0, len(found), generator.part):
    part = slice(first, first + generator.part)
    crops = [face.crop for _, face in found[part]]
    references = [in_pose(*reference, generator.image_size) for reference in batch.references[part]]
    batch.generated.append(generator(crops, references, windows[part]))
  return batch
