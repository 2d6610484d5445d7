"""Warping of a face of any size, as the network says: the counterpart of `lpips_jax.models.warping`."""

import cv2
import numpy as np

from lpips_jax.faces.pose import UNMOVED

HALF_PAINTED = 0.4  # the network's paint mask at a gap of half a pixel, about which edges are steepened
MAX_STEEPENING = 2.5  # slope of the mask's edges, relative to the small picture


def compose(parts: np.ndarray, reference: np.ndarray, pose: np.ndarray = UNMOVED) -> np.ndarray:
  """Moves the pixels of a reference, and paints over it where it shows too little, at the reference's own size.

  Args:
    parts: (s, s, 6) float, from `models.warping.parts_of`: displacement, paint mask and paint.
    reference: (r, r, 3) uint8, a face of the same person, r >= s.
    pose: (2, 3), how the reference lies relative to the face; see `faces.pose`.

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
  """Steepens the mask's edges to suit a larger picture: merely stretched, a thin gap becomes a shade on the lips."""
  return np.clip(HALF_PAINTED + min(max(larger, 1.0), MAX_STEEPENING) * (painted - HALF_PAINTED), 0, 1)
