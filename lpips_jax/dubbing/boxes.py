"""Where the face is in each frame of a source: found by a detector, or read from a file that says so."""

import json
import os
from collections.abc import Iterable

import numpy as np
from tqdm import tqdm

from lpips_jax.cli import UserError
from lpips_jax.media import detect, video
from lpips_jax.media.track import track

LARGEST = 4  # times the longer side of the picture; a larger box is a mistake


def find_boxes(
  face: str | os.PathLike[str],
  info: video.VideoInfo,
  detector: detect.Detect,
  limit: int | None = None,
  progress: bool = False,
) -> np.ndarray:
  """Detects and follows one person through a video or still image, reading it once.

  Args:
    face: the file.
    info: what `probe` says of it.
    detector: from `make_detector`.
    limit: how many frames to look at; all by default.
    progress: shows a bar, on a terminal.

  Returns:
    (T, 4) float left, top, right, bottom in pixels of the source, NaN where there is no face.

  Raises:
    UserError: there is no face in any frame.
  """
  expected = min(x for x in (info.frames, limit, 10**9) if x is not None)
  frames = video.read_frames(face, longest_side=detect.LONGEST_SIDE)
  bar = tqdm(_first(frames, limit), 'faces', expected, leave=False, unit='frame', disable=None if progress else True)
  scale = max(1.0, max(info.width, info.height) / detect.LONGEST_SIDE)
  found = [detector(frame) * [scale, scale, scale, scale, 1] for frame in bar]
  boxes = track(found, info.rate, (info.width, info.height))
  if np.isnan(boxes).all():
    raise UserError(f'{face} shows no face in any of its {len(boxes)} frames')
  return boxes


def read_boxes(path: str | os.PathLike[str]) -> np.ndarray:
  """Reads boxes from a JSON list with `[left, top, right, bottom]` or null for each frame.

  Args:
    path: the file.

  Returns:
    (T, 4) float, NaN for null.

  Raises:
    UserError: the file cannot be read, or does not hold such a list.
  """
  try:
    with open(path, encoding='utf-8') as file:
      rows = json.load(file)
    boxes = np.array([[np.nan] * 4 if row is None else row for row in rows], np.float64)
  except OSError as error:
    raise UserError(f'the boxes {path} cannot be read: {error.strerror}') from error
  except (ValueError, TypeError, OverflowError, RecursionError) as error:
    raise UserError(f'{path} is not a JSON list with [left, top, right, bottom] or null for each frame') from error
  if boxes.ndim != 2 or boxes.shape[1] != 4 or np.isnan(boxes).all():
    raise UserError(f'{path} is not a JSON list with [left, top, right, bottom] for at least one frame')
  return boxes


def padded(boxes: np.ndarray, pads: Iterable[int], info: video.VideoInfo) -> np.ndarray:
  """Grows boxes, (T, 4), by pixels at the top, bottom, left and right, in Wav2Lip's order.

  Raises:
    UserError: one comes out less than a pixel wide or high, or much larger than the picture that `info` is of.
  """
  top, bottom, left, right = pads
  boxes = boxes + np.array([-left, -top, right, bottom], np.float64)
  sides = boxes[:, 2:] - boxes[:, :2]
  wrong = (sides < 1) | (sides > LARGEST * max(info.width, info.height)) | np.isinf(boxes).any(axis=1, keepdims=True)
  if wrong.any():
    frame = int(np.flatnonzero(wrong.any(axis=1))[0])
    raise UserError(
      f'the face box of frame {frame} is {sides[frame, 0]:.0f} x {sides[frame, 1]:.0f} pixels in a picture of '
      f'{info.width} x {info.height}: give other --boxes or --pads'
    )
  return boxes


def _first(frames, limit: int | None):
  """Like islice, but does not decode the frame after the last."""
  for count, frame in enumerate(frames, start=1):
    yield frame
    if count == limit:
      return
