"""Frames with boxes in, frames with new mouths out: crop, generate, composite."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from lpips_jax.dubbing import silence
from lpips_jax.dubbing.preview import Watch
from lpips_jax.dubbing.silence import Known, ShutMouths, shut_mouth
from lpips_jax.media import audio, faces, turning, ycbcr
from lpips_jax.media.pictures import to_bytes
from lpips_jax.media.playback import Shown
from lpips_jax.media.ycbcr import Region

if TYPE_CHECKING:  # bad input is told before JAX is waited for
  from lpips_jax.dubbing.generator import Generator

MOST_HELD = 256 << 20  # bytes of frames in a batch
MARGIN = 2  # pixels around a box that resampling at its edge reaches
PREVIEW_SIDE = 960  # pixels: the longer side of frames that are watched
CLOSING_SILENCE = Fraction(1, 2)  # seconds: a mouth is shut after the last word, whatever comes then


class Speech:
  """What is said, as the generator hears it.

  Args:
    samples: (S,) float in [-1, 1] at 16 kHz, from the first frame on; after their end there is silence.
    pauses: whether mouths are shut where the speech pauses, or left to the generator.

  Attributes:
    pauses: likewise.
  """

  def __init__(self, samples: np.ndarray, pauses: bool) -> None:
    self._mel = audio.melspectrogram(np.pad(samples, (0, int(CLOSING_SILENCE * audio.SAMPLE_RATE))))
    self.pauses = pauses
    self._resting = silence.find_pauses(samples) if pauses else None

  def __call__(self, times: Sequence[Fraction], lead: Fraction) -> tuple[np.ndarray, np.ndarray]:
    """Returns the windows of n frames, (n, 80, 16), and of which their mouths are shut, (n,) bool.

    Args:
      times: when the frames are shown, in seconds.
      lead: seconds by which a window starts before its frame.
    """
    windows = audio.mel_windows_at(self._mel, [time - lead for time in times])
    if self._resting is None:
      return windows, np.zeros(len(times), bool)
    rests = silence.is_pause(self._resting, times)
    windows[rests] = -audio.MAX_VALUE
    return windows, rests


@dataclass(frozen=True, eq=False)
class Face:
  """One face in one frame.

  Attributes:
    region: the part of the frame that may change, around the lower part of the box.
    rgb: (h, w, 3) uint8, what is there.
    box: (5,) in pixels of the region, out of which it reaches; see `media.turning`.
    box_in_frame: (5,) in pixels of the frame.
    crop: (s, s, 3) uint8, what the generator sees.
  """

  region: Region
  rgb: np.ndarray
  box: np.ndarray
  box_in_frame: np.ndarray
  crop: np.ndarray


@dataclass(eq=False)
class Batch:
  """Frames whose faces are generated together; the result may not be there yet."""

  frames: list[tuple[Shown, list[Face]]] = field(default_factory=list)
  people: list[Known | None] = field(default_factory=list)  # whose the faces are, where mouths are shut in pauses
  generated: list[Future[np.ndarray]] = field(default_factory=list)  # their images, in parts

  @property
  def faces(self) -> list[tuple[Shown, Face]]:
    return [(shown, face) for shown, found in self.frames for face in found]


def generate(
  frames: Iterable[tuple[Shown, Sequence[np.ndarray]]], speech: Speech, generator: 'Generator'
) -> Iterator[Batch]:
  """Crops the faces of frames and begins to generate their mouths, at most `generator.batch_size` frames at once.

  Args:
    frames: each with its boxes, (5,) in pixels.
    speech: what is said.
    generator: the network.
  """
  batch, mouths = Batch(), ShutMouths() if speech.pauses else None
  for shown, boxes in frames:
    found = [face for box in boxes if (face := _cut_out(shown, box, generator.image_size)) is not None]
    people = [None] * len(found)
    if mouths is not None:
      people = mouths.see([face.box_in_frame for face in found], [face.crop for face in found])
    most = min(generator.batch_size, max(1, MOST_HELD // shown.planes.samples.nbytes))
    if batch.frames and (len(batch.frames) >= most or len(batch.faces) + len(found) > generator.batch_size):
      yield _begun(batch, speech, generator)
      batch = Batch()
    batch.frames.append((shown, found))
    batch.people += people
  if batch.frames:
    yield _begun(batch, speech, generator)


def composite(batches: Iterable[Batch], sharpen: float = 0.0, watch: Watch | None = None) -> Iterator[Shown]:
  """Puts generated mouths into their frames, in place, and passes the frames on in order.

  Args:
    batches: from `generate`.
    sharpen: see `media.faces.change`.
    watch: sees each frame before and after; from `preview.write_preview`.
  """
  for batch in batches:
    made = (image for images in batch.generated for image in to_bytes(images.result()))
    for shown, found in batch.frames:
      before = None if watch is None else ycbcr.reduced_rgb(shown.planes, PREVIEW_SIDE)
      images = [next(made) for _ in found]
      for face, image in zip(found, images, strict=True):
        ycbcr.add(shown.planes, face.region, faces.change(face.rgb, face.box, image, face.crop, sharpen))
      if watch is not None:
        watch(shown.time, before, images, ycbcr.reduced_rgb(shown.planes, PREVIEW_SIDE))
      yield shown


def _cut_out(shown: Shown, box: np.ndarray, size: int) -> Face | None:
  """The face in a box; None where its mouth lies outside the picture."""
  left, top, right, bottom = box[:4] + np.array([-MARGIN, -MARGIN, MARGIN, MARGIN])
  changed_from = box[1] + faces.CHANGED_FROM * (box[3] - box[1])
  region = ycbcr.even_region(shown.planes.size, *turning.bounds(box, (left, top, right, bottom)))
  lower = ycbcr.even_region(shown.planes.size, *turning.bounds(box, (left, changed_from, right, bottom)))
  if region is None or lower is None:
    return None
  rgb = ycbcr.to_rgb(shown.planes, region)
  crop = faces.crop(rgb, turning.moved(box, region.left, region.top), size)
  rows, columns = (
    slice(lower.top - region.top, lower.bottom - region.top),
    slice(lower.left - region.left, lower.right - region.left),
  )
  return Face(lower, rgb[rows, columns], turning.moved(box, lower.left, lower.top), box, crop)


def _begun(batch: Batch, speech: Speech, generator: 'Generator') -> Batch:
  for first in range(0, len(batch.faces), generator.part):
    last = first + generator.part
    some, people = batch.faces[first:last], batch.people[first:last]
    windows, rests = speech([shown.time for shown, _ in some], generator.lead)
    crops = [face.crop for _, face in some]
    references = [shut_mouth(person) if rest else crop for crop, person, rest in zip(crops, people, rests, strict=True)]
    batch.generated.append(generator(crops, references, windows))
  return batch
