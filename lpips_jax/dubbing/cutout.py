"""A face cut out of a frame: what the generator sees of it, and what of the frame may change."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from lpips_jax.faces import cropping, rotated_boxes
from lpips_jax.media import ycbcr
from lpips_jax.media.playback import Shown
from lpips_jax.media.ycbcr import Region

MARGIN = 2  # pixels around a box that resampling at its edge reaches
POINTS = 16  # in each direction, at which one looks how much of a face is missing
SMALL, LARGE = 64, 512  # pixels: the least and the greatest side of crops that are cut as large as they are filmed


@dataclass(frozen=True, eq=False)
class Face:
  """One face in one frame.

  Attributes:
    region: the part of the frame that may change, around the lower part of the box.
    rgb: (h, w, 3) uint8, what is there.
    box: (5,) in pixels of the region, out of which it reaches; see `faces.rotated_boxes`.
    box_in_frame: (5,) in pixels of the frame.
    crop: (s, s, 3) uint8, what the generator sees.
    picture: the part of the frame between black bars; see `ycbcr.between_bars`.
  """

  region: Region
  rgb: np.ndarray
  box: np.ndarray
  box_in_frame: np.ndarray
  crop: np.ndarray
  picture: Region

  @property
  def missing(self) -> float:
    """The share of the lower half of the box that lies outside the picture."""
    box, picture = self.box_in_frame, self.picture
    across, down = np.meshgrid(*[(np.arange(POINTS) + 0.5) / POINTS] * 2)
    half = (box[2:4] - box[:2]) / 2
    offsets = np.stack([(2 * across - 1) * half[0], down * half[1]], axis=-1)  # from the middle of the box
    x, y = np.moveaxis(
      offsets @ rotated_boxes.rotation(rotated_boxes.roll_of(box)).T + rotated_boxes.middle(box), -1, 0
    )
    inside = (picture.left <= x) & (x < picture.right) & (picture.top <= y) & (y < picture.bottom)
    return 1 - float(inside.mean())


def cut_out(shown: Shown, box: np.ndarray, size: int) -> Face | None:
  """Returns the face in a box, (5,), with a crop of that size; None where its mouth lies outside the picture.

  Black bars lie outside the picture, too: they stay black, and faces do not end in them.
  """
  picture = ycbcr.between_bars(shown.planes)
  left, top, right, bottom = box[:4] + np.array([-MARGIN, -MARGIN, MARGIN, MARGIN])
  changed_from = box[1] + cropping.CHANGED_FROM * (box[3] - box[1])
  region = ycbcr.even_region(picture, *rotated_boxes.bounds(box, (left, top, right, bottom)))
  lower = ycbcr.even_region(picture, *rotated_boxes.bounds(box, (left, changed_from, right, bottom)))
  if region is None or lower is None:
    return None
  rgb = ycbcr.to_rgb(shown.planes, region)
  crop = cropping.crop(rgb, rotated_boxes.moved(box, region.left, region.top), size)
  rows = slice(lower.top - region.top, lower.bottom - region.top)
  columns = slice(lower.left - region.left, lower.right - region.left)
  below = rotated_boxes.moved(box, lower.left, lower.top)
  return Face(lower, rgb[rows, columns], below, box, crop, picture)


def large_crop(shown: Shown, face: Face) -> np.ndarray:
  """Returns the crop of a face that was cut out, as large as it was filmed: (r, r, 3) uint8."""
  box = face.box_in_frame
  side = int(np.clip(math.ceil(float(max(box[2:4] - box[:2]))), SMALL, LARGE))
  grown = box[:4] + np.array([-MARGIN, -MARGIN, MARGIN, MARGIN])
  region = ycbcr.even_region(face.picture, *rotated_boxes.bounds(box, grown))
  rgb = ycbcr.to_rgb(shown.planes, region)
  return cropping.crop(rgb, rotated_boxes.moved(box, region.left, region.top), side, cv2.INTER_CUBIC)
