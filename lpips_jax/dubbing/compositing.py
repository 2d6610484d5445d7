"""The middle of the pipeline: frames with boxes in, frames with new mouths out."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple, Protocol

import numpy as np

from lpips_jax.dubbing.boxes import Located
from lpips_jax.dubbing.cutout import Face, cut_out, large_crop
from lpips_jax.dubbing.lookahead import LookaheadResult
from lpips_jax.dubbing.preview import Watch
from lpips_jax.dubbing.speech import Speech
from lpips_jax.faces import cropping, warping
from lpips_jax.faces.pose import UNMOVED, in_pose, pose_between
from lpips_jax.media import ycbcr
from lpips_jax.media.pictures import to_uint8
from lpips_jax.media.playback import PlayedFrame

MAX_BATCH_BYTES = 256 << 20  # of the frames of a batch
WATCHED_SIDE = 960  # pixels: the longer side of the frames that a preview gets


class MouthGenerator(Protocol):
  """A generator as `generate` calls it; see `generator.BatchedGenerator`.

  Attributes:
    batch_size: faces at once.
    part_size: faces of one call.
    image_size: side of a face crop in pixels.
    lead: seconds by which the speech window of a frame starts before it.
  """

  batch_size: int
  part_size: int
  image_size: int
  lead: Fraction

  def __call__(
    self, crops: Sequence[np.ndarray], references: Sequence[np.ndarray], windows: np.ndarray
  ) -> Future[np.ndarray]:
    """Starts to generate the faces of n <= part_size crops; see `generator.BatchedGenerator.__call__`."""


class Reference(NamedTuple):
  """The face of the same person that the generator is shown beside a crop: (r, r, 3) uint8, and its pose."""

  face: np.ndarray
  pose: np.ndarray  # from `faces.pose.pose_between`


@dataclass(eq=False)
class Batch:
  """Frames whose faces are generated together; results may still be on their way.

  Attributes:
    frames: the frames, each with its faces.
    references: of all faces, in their order.
    voices: the numbers of the speeches that they say.
    generated: the results for all faces, in parts.
  """

  frames: list[tuple[PlayedFrame, list[Face]]] = field(default_factory=list)
  references: list[Reference] = field(default_factory=list)
  voices: list[int] = field(default_factory=list)
  generated: list[Future[np.ndarray]] = field(default_factory=list)

  @property
  def faces(self) -> list[tuple[PlayedFrame, Face]]:
    return [(shown, face) for shown, found in self.frames for face in found]


class References:
  """The references of a dub: for each face of a frame, the face that the generator is shown beside it.

  Args:
    looked: the result of a look ahead; None shows the frame itself, always.
    rest: whether mouths at rest are shown throughout, or in pauses of the speech alone.
  """

  def __init__(self, looked: LookaheadResult | None, rest: bool) -> None:
    self._looked, self._rest = looked, rest
    self._poses: dict[int, np.ndarray] = {}

  def __call__(self, shown: PlayedFrame, found: Sequence[Face], in_pause: Sequence[bool]) -> list[Reference]:
    """Returns a reference for each face of a frame, of which some are in a pause of what they say."""
    if self._looked is None or not (self._rest or any(in_pause)):
      return [Reference(large_crop(shown, face), UNMOVED) for face in found]
    mouths = self._looked.mouths_in(shown.index)
    people = self._looked.people[shown.index]
    return [
      self._in_pose(person, mouth, face) if self._rest or rests else Reference(large_crop(shown, face), UNMOVED)
      for person, mouth, face, rests in zip(people, mouths, found, in_pause, strict=True)
    ]

  def _in_pose(self, person: int, mouth: np.ndarray, face: Face) -> Reference:
    """Finds the pose near the person's last one: from frame to frame a head moves little."""
    self._poses[person] = pose_between(face.crop, mouth, self._poses.get(person, UNMOVED))
    return Reference(mouth, self._poses[person])


def generate(
  frames: Iterable[tuple[PlayedFrame, Sequence[Located]]],
  speeches: Sequence[Speech],
  generator: MouthGenerator,
  references: References | None = None,
) -> Iterator[Batch]:
  """Crops the faces of frames and starts to generate their mouths, at most `generator.batch_size` frames at once.

  Args:
    frames: each with its faces.
    speeches: to be spoken, by the voices of the faces.
    generator: the network.
    references: of the dub; by default each face is its own.
  """
  references, batch = references or References(None, False), Batch()
  for shown, located in frames:
    cuts = [(cut_out(shown, box, generator.image_size), voice) for box, voice in located]
    found, voices = [face for face, _ in cuts if face is not None], [voice for face, voice in cuts if face is not None]
    max_frames = min(generator.batch_size, max(1, MAX_BATCH_BYTES // shown.planes.samples.nbytes))
    if batch.frames and (len(batch.frames) >= max_frames or len(batch.faces) + len(found) > generator.batch_size):
      _start(batch, speeches, generator)
      yield batch
      batch = Batch()
    batch.frames.append((shown, found))
    batch.voices += voices
    batch.references += references(shown, found, [speeches[voice].rests_at(shown.time) for voice in voices])
  if batch.frames:
    _start(batch, speeches, generator)
    yield batch


def composite(batches: Iterable[Batch], sharpen: float = 0.0, watch: Watch | None = None) -> Iterator[PlayedFrame]:
  """Puts generated mouths into their frames, in place, and passes the frames on in order.

  Args:
    batches: from `generate`.
    sharpen: see `faces.cropping.change`.
    watch: gets each frame before and after; from `preview.write_preview`.
  """
  for batch in batches:
    made = (one for part in batch.generated for one in part.result())
    images = (_full_size(one, reference) for one, reference in zip(made, batch.references, strict=True))
    for shown, found in batch.frames:
      new = [next(images) for _ in found]
      if watch is None:
        _add_mouths(shown, found, new, sharpen)
      else:
        before = ycbcr.reduced_rgb(shown.planes, WATCHED_SIDE)
        _add_mouths(shown, found, new, sharpen)
        watch(shown.time, before, new, ycbcr.reduced_rgb(shown.planes, WATCHED_SIDE))
      yield shown


def _start(batch: Batch, speeches: Sequence[Speech], generator: MouthGenerator) -> None:
  """Starts to generate the faces of a batch, in parts."""
  found = batch.faces
  if not found:
    return
  windows = _windows(batch, speeches, generator.lead)
  for first in range(0, len(found), generator.part_size):
    part = slice(first, first + generator.part_size)
    crops = [face.crop for _, face in found[part]]
    references = [in_pose(*reference, generator.image_size) for reference in batch.references[part]]
    batch.generated.append(generator(crops, references, windows[part]))


def _windows(batch: Batch, speeches: Sequence[Speech], lead: Fraction) -> np.ndarray:
  """Returns the windows of all faces of a batch, each of the speech that it says."""
  times, voices = [shown.time for shown, _ in batch.faces], np.array(batch.voices)
  if not voices.any():
    return speeches[0](times, lead)
  windows = [(np.flatnonzero(voices == voice), speech) for voice, speech in enumerate(speeches)]
  parts = [(places, speech([times[place] for place in places], lead)) for places, speech in windows if len(places)]
  joined = np.empty((len(times), *parts[0][1].shape[1:]), parts[0][1].dtype)
  for places, part in parts:
    joined[places] = part
  return joined


def _full_size(made: np.ndarray, reference: Reference) -> np.ndarray:
  """Returns a generated face as uint8 RGB: as the network painted it, or, if it warps, as large as the reference."""
  return to_uint8(made) if made.shape[-1] == 3 else warping.compose(made, *reference)


def _add_mouths(shown: PlayedFrame, faces: Sequence[Face], images: Sequence[np.ndarray], sharpen: float) -> None:
  """Puts generated faces into a frame, in place."""
  for face, image in zip(faces, images, strict=True):
    ycbcr.add(shown.planes, face.region, cropping.change(face.rgb, face.box, image, face.crop, sharpen))
