"""A face cut out of a frame: the crop that the generator sees, and the part of the frame that may change."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from lpips_jax.faces import cropping, rotated_boxes
from lpips_jax.media import ycbcr
from lpips_jax.media.playback import PlayedFrame
from lpips_jax.media.ycbcr import Region

MARGIN = 2  # pixels around a box that resampling at its edge reaches
GRID = 16  # points in each direction, at which `Face.missing` looks
MIN_CROP_SIDE, MAX_CROP_SIDE = 64, 512  # pixels of crops that are as large as the face was filmed


@dataclass(frozen=True, eq=False)
class Face:
  """One face in one frame.

  Attributes:
    region: the part of the frame that may change, around the lower part of the box.
    rgb: (h, w, 3) uint8, the pixels of the region.
    box: (5,) in pixels of the region, out of which it reaches; see `faces.rotated_boxes`.
    box_in_frame: (5,) in pixels of the frame.
    crop: (s, s, 3) uint8, the face as the generator sees it.
    around: the part of the frame that holds the whole box, with a margin.
    picture: the part of the frame between black bars; see `ycbcr.between_bars`.
  """

  region: Region
  rgb: np.ndarray
  box: np.ndarray
  box_in_frame: np.ndarray
  crop: np.ndarray
  around: Region
  picture: Region

  @property
  def missing(self) -> float:
    """The share of the lower half of the box that lies outside the picture."""
    box, picture = self.box_in_frame, self.picture
    across, down = np.meshgrid(*[(np.arange(GRID) + 0.5) / GRID] * 2)
    half = (box[2:4] - box[:2]) / 2
    offsets = np.stack([(2 * across - 1) * half[0], down * half[1]], axis=-1)  # from the middle of the box
    turn = rotated_boxes.rotation(rotated_boxes.roll_of(box))
    x, y = np.moveaxis(offsets @ turn.T + rotated_boxes.middle(box), -1, 0)
    inside = (picture.left <= x) & (x < picture.right) & (picture.top <= y) & (y < picture.bottom)
    return 1 - float(inside.mean())


def cut_out(shown: PlayedFrame, box: np.ndarray, size: int) -> Face | None:
  """Returns the face in a box, or None where its mouth lies outside the picture.

  Black bars count as outside the picture: they stay black, and faces do not end in them.

  Args:
    shown: the frame.
    box: (5,) in pixels of the frame.
    size: side of the crop in pixels.
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
  return Face(lower, rgb[rows, columns], below, box, crop, region, picture)


def large_crop(shown: PlayedFrame, face: Face) -> np.ndarray:
  """Returns the crop of a face that was cut out, as large as it was filmed: (r, r, 3) uint8."""
  box, around = face.box_in_frame, face.around
  side = int(np.clip(math.ceil(float(max(box[2:4] - box[:2]))), MIN_CROP_SIDE, MAX_CROP_SIDE))
  rgb = ycbcr.to_rgb(shown.planes, around)
  return cropping.crop(rgb, rotated_boxes.moved(box, around.left, around.top), side, cv2.INTER_CUBIC)
