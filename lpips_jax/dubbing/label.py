"""The label "AI MODIFIED", burnt into the top right corner of a dub, so that nobody takes it for a recording."""

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lpips_jax.media.playback import PlayedFrame
from lpips_jax.media.ycbcr import MAX_BAR_LEVEL, Colours, Planes, Region, between_bars

TEXT = 'AI MODIFIED'
# Height of its capitals: on a phone held upright, 65 mm wide, 1.5 mm; in a very wide picture the height is the limit.
SHARE_OF_WIDTH, SHARE_OF_HEIGHT = 0.024, 0.06
MIN_CAPITALS = 7  # pixels, below which letters run together
MARGIN = 1.2  # around the label, in heights of its capitals
PADDING = 0.7  # around the text, within the label, likewise
BOLDER = 0.04  # added all around the strokes, which are thin on a small screen, likewise
BACKGROUND = 0.6  # how much of the picture the label covers beside its letters
# Brightness of white text, as a share of the full range, by H.273's number of the transfer characteristic: 203 nits in
# PQ and HLG (ITU-R BT.2408), whose full range would dazzle.
WHITE = {16: 0.58, 18: 0.75}
FRAMES_BETWEEN_LOOKS = 25  # for black bars
DRAWN_LARGER = 4  # for smooth edges


@dataclass(frozen=True, eq=False)
class _Label:
  """A label for frames of one size: shares of the picture that are kept, and what is added to them.

  Attributes:
    region: where it is.
    kept: of brightness, (h, w), and of colour, (h / 2, w / 2).
    added: likewise, in steps of the samples.
  """

  region: Region
  kept: tuple[np.ndarray, np.ndarray]
  added: tuple[np.ndarray, np.ndarray]


def labelled(frames: Iterable[PlayedFrame]) -> Iterator[PlayedFrame]:
  """Burns the label into frames, in place, inside of black bars.

  Its size follows the picture: the capitals are 2.4 % of the width high, at least 7 pixels if they fit.

  Args:
    frames: of one size; their planes are changed.

  Yields:
    The same frames.
  """
  picture: Region | None = None
  for number, shown in enumerate(frames):
    if picture is None or number % FRAMES_BETWEEN_LOOKS == 0:
      picture = _picture(shown.planes, picture)
    put_label(shown.planes, picture or shown.planes.region)
    yield shown


def put_label(planes: Planes, picture: Region) -> None:
  """Burns the label into the top right corner of a region of a frame, in place."""
  label = _rendered(picture, planes.colours)
  part = label.region
  halves = slice(part.top // 2, part.bottom // 2), slice(part.left // 2, part.right // 2)
  _blend(planes.y[part.top : part.bottom, part.left : part.right], label.kept[0], label.added[0])
  for plane in planes.cb_cr:
    _blend(plane[halves], label.kept[1], label.added[1])


def _picture(planes: Planes, before: Region | None) -> Region | None:
  """Returns the part of the frames so far that is no black bar; None while they are all black.

  It only grows, so that the label stays where it is while a scene is dark.
  """
  if before == planes.region:
    return before
  found = between_bars(planes)
  black = (0 if planes.colours.full_range else 16) + MAX_BAR_LEVEL << planes.colours.depth - 8
  if found == planes.region and planes.y.max() <= black:
    return before
  if before is None:
    return found
  return Region(
    min(before.left, found.left),
    min(before.top, found.top),
    max(before.right, found.right),
    max(before.bottom, found.bottom),
  )


def _blend(samples: np.ndarray, kept: np.ndarray, added: np.ndarray) -> None:
  samples[:] = np.rint(samples * kept + added).astype(samples.dtype)


@functools.lru_cache(maxsize=8)
def _rendered(picture: Region, colours: Colours) -> _Label:
  width, height = picture.right - picture.left, picture.bottom - picture.top
  capitals = max(MIN_CAPITALS, min(SHARE_OF_WIDTH * width, SHARE_OF_HEIGHT * height))
  text = _text(capitals)
  if (fitting := min((width - 2) / text.shape[1], (height - 2) / text.shape[0])) < 1:
    size = max(1, int(text.shape[1] * fitting)), max(1, int(text.shape[0] * fitting))
    text, capitals = cv2.resize(text, size, interpolation=cv2.INTER_AREA), capitals * fitting
  margin = MARGIN * capitals
  h, w = (min(-(-side // 2) * 2, whole) for side, whole in zip(text.shape, (height, width), strict=True))
  text = np.pad(text, ((0, max(0, h - text.shape[0])), (0, max(0, w - text.shape[1]))))[:h, :w]
  left = max(picture.left, picture.left + int(width - w - margin) // 2 * 2)
  top = picture.top + int(min(margin, height - h)) // 2 * 2
  kept = (1 - BACKGROUND) * (1 - text)
  black, white = (0, 255) if colours.full_range else (16, 235)
  bright = black + WHITE.get(colours.transfer, 1.0) * (white - black)
  steps = 1 << colours.depth - 8
  coarse = kept.reshape(h // 2, 2, w // 2, 2).mean((1, 3))
  added = steps * (bright * text + black * (1 - text) * BACKGROUND), steps * 128 * (1 - coarse)
  return _Label(
    Region(left, top, left + w, top + h),
    (kept.astype(np.float32), coarse.astype(np.float32)),
    (added[0].astype(np.float32), added[1].astype(np.float32)),
  )


def _text(capitals: float) -> np.ndarray:
  """Returns the text with padding around it, (h, w) in [0, 1], from the height of its capitals in pixels."""
  font = ImageFont.load_default(100)
  left, top, right, bottom = font.getbbox(TEXT)
  font = ImageFont.load_default(100 * DRAWN_LARGER * capitals / (bottom - top))
  left, top, right, bottom = font.getbbox(TEXT)
  pad = PADDING * capitals * DRAWN_LARGER
  size = round(right - left + 2 * pad), round(bottom - top + 2 * pad)
  image = Image.new('L', size)
  ImageDraw.Draw(image).text(
    (pad - left, pad - top), TEXT, fill=255, font=font, stroke_width=round(BOLDER * capitals * DRAWN_LARGER)
  )
  reduced = max(1, round(size[0] / DRAWN_LARGER)), max(1, round(size[1] / DRAWN_LARGER))
  return cv2.resize(np.asarray(image), reduced, interpolation=cv2.INTER_AREA).astype(np.float64) / 255
