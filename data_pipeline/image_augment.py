"""Image augmentation: changes that a real video might have had, alike for all frames of an example."""

import dataclasses

import cv2
import numpy as np

LUMA = np.array([0.299, 0.587, 0.114])  # BT.601, as in JPEG
JPEG_QUALITIES = 40, 95


@dataclasses.dataclass(frozen=True)
class ImageAugmentation:
  """The ranges from which a change to the frames of an example is drawn; zeros leave them as they are.

  Attributes:
    flip: probability of a mirror image.
    colour: brightness, contrast and saturation are each multiplied by a number in [1 - colour, 1 + colour].
    jpeg: probability of coding the frames once more, at a quality between 40 and 95.
    crop: up to this share of the side is cut off, at random places.
  """

  flip: float = 0.0
  colour: float = 0.0
  jpeg: float = 0.0
  crop: float = 0.0

  def draw(self, rng: np.random.Generator) -> 'ImageChange':
    """Draws one change, for all frames of an example."""
    mirrored = rng.random() < self.flip
    matrix = _colour_matrix(*rng.uniform(1 - self.colour, 1 + self.colour, 3)) if self.colour else None
    quality = int(rng.integers(*JPEG_QUALITIES)) if rng.random() < self.jpeg else None
    side = 1 - self.crop * rng.random()
    left, top = rng.random(2) * (1 - side)
    return ImageChange(mirrored, matrix, quality, (left, top, side))


NO_IMAGE_AUGMENTATION = ImageAugmentation()


@dataclasses.dataclass(frozen=True, eq=False)
class ImageChange:
  """One change, made alike to every frame of an example.

  Attributes:
    mirrored: whether left and right are swapped.
    matrix: (3, 4), maps (red, green, blue, 1) to the new colour; None keeps the colours.
    quality: JPEG quality at which the frames are coded and decoded; None skips it.
    window: left, top and side of the part that is kept, as fractions of the frame.
  """

  mirrored: bool = False
  matrix: np.ndarray | None = None
  quality: int | None = None
  window: tuple[float, float, float] = (0.0, 0.0, 1.0)

  def __call__(self, frames: np.ndarray) -> np.ndarray:
    """Returns the changed frames, (n, size, size, 3) uint8 RGB, in the shape of those given."""
    if self.window[2] < 1:
      frames = np.stack([self._part(frame) for frame in frames])
    if self.matrix is not None:
      frames = np.stack([cv2.transform(frame, self.matrix) for frame in frames])
    if self.quality is not None:
      frames = np.stack([_through_jpeg(frame, self.quality) for frame in frames])
    return frames[:, :, ::-1] if self.mirrored else frames

  def _part(self, frame: np.ndarray) -> np.ndarray:
    """Cuts out the window with subpixel precision and enlarges it to the size of the frame."""
    size, (left, top, side) = len(frame), self.window
    to_frame = np.array([[side, 0, left * size + (side - 1) / 2], [0, side, top * size + (side - 1) / 2]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(frame, to_frame, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _colour_matrix(brightness: float, contrast: float, saturation: float) -> np.ndarray:
  """Returns (3, 4): saturation mixes with grey, brightness multiplies, contrast stretches about middle grey."""
  grey = np.tile(LUMA, (3, 1))
  mixed = contrast * brightness * (saturation * np.eye(3) + (1 - saturation) * grey)
  return np.column_stack([mixed, np.full(3, 127.5 * (1 - contrast))])


def _through_jpeg(frame: np.ndarray, quality: int) -> np.ndarray:
  # OpenCV takes the frame for BGR both times: red and blue are swapped twice.
  coded = cv2.imencode('.jpg', frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
  decoded = cv2.imdecode(coded, cv2.IMREAD_COLOR)
  assert decoded is not None  # OpenCV has just coded it
  return decoded
