"""PNG files, grids of crops and figures, for people to look at."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from lpips_jax.core.files import write_whole

if TYPE_CHECKING:  # it takes a second to import
  from matplotlib.figure import Figure


def grid(rows: Sequence[np.ndarray], gap: int = 2) -> np.ndarray:
  """Lays rows of images out on white: each row (n, h, w, 3) float in [0, 1] or uint8 -> (H, W, 3) uint8."""
  rows = [to_uint8(row) for row in rows]
  n, height, width, _ = rows[0].shape
  canvas = np.full((len(rows) * (height + gap) + gap, n * (width + gap) + gap, 3), 255, np.uint8)
  for i, row in enumerate(rows):
    for j, image in enumerate(row):
      top, left = gap + i * (height + gap), gap + j * (width + gap)
      canvas[top : top + height, left : left + width] = image
  return canvas


def drawn(figure: 'Figure') -> np.ndarray:
  """Draws a figure of matplotlib: (h, w, 3) uint8."""
  from matplotlib.backends.backend_agg import FigureCanvasAgg

  canvas = FigureCanvasAgg(figure)
  canvas.draw()
  return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def write_png(path: Path, image: np.ndarray) -> None:
  """Writes (h, w, 3) RGB uint8; the file appears whole or not at all."""
  path.parent.mkdir(parents=True, exist_ok=True)
  encoded = cv2.imencode('.png', cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1]
  write_whole(path, encoded.tobytes())


def to_uint8(images: np.ndarray) -> np.ndarray:
  """Returns images as uint8: floats are clipped to [0, 1] and scaled, uint8 stays as it is."""
  images = np.asarray(images)
  return images if images.dtype == np.uint8 else np.round(255 * np.clip(images, 0, 1)).astype(np.uint8)
