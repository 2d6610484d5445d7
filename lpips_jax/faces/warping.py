"""What a network that warps says of a face, done to a picture of any size: see `lpips_jax.models.warping`."""

import cv2
import numpy as np

from lpips_jax.faces.pose import UNMOVED

HALF_PAINTED = 0.4  # what a network that sees a gap of half a pixel says of it
SHARPEST = 2.5  # times as steep as in the small picture


def compose(parts: np.ndarray, reference: np.ndarray, pose: np.ndarray = UNMOVED) -> np.ndarray:
  """Returns a face as large as the reference, whose pixels are moved, and painted over where it shows too little.

  Args:
    parts: (s, s, 6) float, from `models.warping.parts_of`.
    reference: (r, r, 3) uint8, a face of the same person, r >= s.
    pose: where the places of the face are in the reference; see `faces.pose`.

  Returns:
    (r, r, 3) uint8.
  """
  side, given = len(reference), len(parts)
  parts = cv2.resize(parts, (side, side), interpolation=cv2.INTER_LINEAR)
  places = (np.arange(side, dtype=np.float32) + 0.5) / side
  x, y = places + parts[..., 0], places[:, None] + parts[..., 1]
  (xx, xy, x0), (yx, yy, y0) = pose.astype(np.float32)
  in_reference = side * (xx * x + xy * y + x0) - 0.5, side * (yx * x + yy * y + y0) - 0.5
  moved = cv2.remap(reference, *in_reference, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
  painted = _sharper(parts[..., 2:3], side / given)
  return np.rint(painted * 255 * parts[..., 3:] + (1 - painted) * moved).astype(np.uint8)


def _sharper(painted: np.ndarray, larger: float) -> np.ndarray:
  """Makes edges as steep as they would be in a larger picture: stretched alone, a thin gap becomes a shade on lips."""
  return np.clip(HALF_PAINTED + min(max(larger, 1.0), SHARPEST) * (painted - HALF_PAINTED), 0, 1)
