"""Finding faces: YuNet where its file can be had, else the cascade that comes with OpenCV."""

import hashlib
import math
import os
import urllib.request
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from absl import logging

from lpips_jax.core.errors import UserError
from lpips_jax.core.files import user_cache, write_whole
from lpips_jax.faces import rotated_boxes, tilt
from lpips_jax.faces.boxes import SAME_FACE, overlap
from lpips_jax.media import ycbcr
from lpips_jax.media.ycbcr import Planes

DETECTORS = 'auto', 'yunet', 'cascade'
LONGEST_SIDE = 480  # pixels; YuNet then found the face in every frame looked at of six clips of real people
CLOSER = 1.25  # reductions from which a face is looked at again
SURROUNDINGS = 0.5  # of a face's width and height, on each side, in which it is found again
SCORE = 0.6  # YuNet's confidence from which a face counts as one
YUNET_VARIABLE = 'LIPSYNC_YUNET'
YUNET_FILE = 'yunet_n_640_640.onnx'
YUNET_URL = f'https://raw.githubusercontent.com/ShiqiYu/libfacedetection.train/master/onnx/{YUNET_FILE}'
YUNET_BYTES = 1 << 20  # more than it has
YUNET_SHA256 = '25a606a145a5b6d7271ae138fbd00eba91dad8b83222ae3f2c7ecd0f4a7b0e31'
YUNET_STRIDE = 32  # pixels; the sides of its input are multiples of this
DOWNLOAD_SECONDS = 5.0
# The cascade's squares on YuNet's convention: left, top, right and bottom in units of the square's side. Means over six
# clips of real faces, every fifth frame, of each clip's median. On those same frames the boxes then agree with YuNet's
# to an IoU of 0.87 in the mean (0.74 before, 0.79 at the fifth percentile), each edge on average to within 5 % of the
# face's width. The cascade found 280 of the 281 faces there, and 9 false ones; with histogram equalisation 277 and 14.
CASCADE_FILE = 'haarcascade_frontalface_alt2.xml'
CASCADE_EDGES = 0.095, -0.04, 0.90, 1.07
CASCADE_SMALLEST = 1 / 16  # of the longer side: smaller squares are mostly false

Detect = Callable[[np.ndarray], np.ndarray]


def make_detector(
  kind: str = 'auto', model: str | os.PathLike[str] | None = None, longest_side: int = LONGEST_SIDE
) -> Detect:
  """Returns a function that finds faces.

  Args:
    kind: `yunet`, `cascade`, or `auto`: the first of the two that can be had.
    model: YuNet's file; see `choose_detector` for where it is looked for otherwise.
    longest_side: pixels to which larger frames are reduced inside; giving it reduced ones saves time.

  Returns:
    A function from a frame, (H, W, 3) uint8 RGB, to the faces in it: (n, 6) float32 with left, top, right, bottom in
    pixels of that frame, in YuNet's convention, a score, and how much the head tilts, as `faces.rotated_boxes` has it: the
    roll about the middle of the box that it would have if it were upright. The cascade sees none that tilt.

  Raises:
    UserError: there is no such detector, or its file cannot be had or read.
  """
  kind, file = choose_detector(kind, model)
  return _cascade(longest_side) if kind == 'cascade' else _yunet(file, longest_side)


def in_planes(find: Detect, planes: Planes) -> np.ndarray:
  """Returns the faces of a 4:2:0 frame, as a `Detect` does, in pixels of the frame.

  They are found in a reduced picture; where that has lost detail, each is then found again in its own surroundings.
  Boxes then differ less from those found at full size: in six clips of real people each edge by 1.0 % to 1.6 % of the
  face's width in the mean, by 2.8 % in the largest pictures without the second look.
  """
  faces = find(ycbcr.reduced_rgb(planes, LONGEST_SIDE))
  scale = max(planes.size) / LONGEST_SIDE
  if scale <= 1:
    return faces
  faces = faces * np.float32([scale] * 4 + [1] * (faces.shape[1] - 4))
  if scale < CLOSER:
    return faces
  return np.array([_seen_closer(find, planes, face) for face in faces], np.float32).reshape(len(faces), faces.shape[1])


def choose_detector(kind: str, model: str | os.PathLike[str] | None = None) -> tuple[str, Path | None]:
  """Returns the detector that `make_detector` makes, `yunet` with its file or `cascade`, once for many processes.

  YuNet's file is `model` if given, else what the environment variable LIPSYNC_YUNET names, else the one in the user's
  cache, else it is downloaded there in one short attempt.

  Raises:
    UserError: there is no such detector, or its file cannot be had.
  """
  if kind not in DETECTORS:
    raise UserError(f'--detector must be one of {", ".join(DETECTORS)}, not {kind!r}')
  if kind == 'cascade':
    return kind, None
  file = _yunet_file(model)
  if file is not None:
    return 'yunet', file
  if kind == 'yunet':
    raise UserError(f'YuNet is not here and cannot be downloaded: get {YUNET_URL} and name it by --detector_model')
  logging.warning(
    'no YuNet here and no download: using the cascade of OpenCV, which is slower and sees frontal faces only; '
    'get %s and name it by --detector_model or LIPSYNC_YUNET',
    YUNET_URL,
  )
  return 'cascade', None


def _yunet(file: Path, longest_side: int) -> Detect:
  try:
    network = cv2.FaceDetectorYN.create(str(file), '', (LONGEST_SIDE, LONGEST_SIDE), SCORE)
  except cv2.error as error:
    raise UserError(f'{file} is not a YuNet model that OpenCV can read') from error

  def detect(frame: np.ndarray) -> np.ndarray:
    small, scale = _reduced(frame, longest_side)
    height, width = (math.ceil(side / YUNET_STRIDE) * YUNET_STRIDE for side in small.shape[:2])
    canvas = np.zeros((height, width, 3), np.uint8)
    canvas[: small.shape[0], : small.shape[1]] = small[..., ::-1]  # OpenCV's networks see BGR
    network.setInputSize((width, height))
    _, faces = network.detect(canvas)
    if faces is None:
      return np.zeros((0, 6), np.float32)
    faces = faces[np.isfinite(faces).all(axis=1)]  # YuNet answers with NaN in pictures a few pixels high
    boxes = np.concatenate([faces[:, :2], faces[:, :2] + faces[:, 2:4]], axis=1)
    return _as_faces(boxes / scale, faces[:, -1], tilt.reading(faces[:, 4:14].reshape(-1, 5, 2)))

  return lambda frame: tilt.find_tilted(detect, frame)


def _cascade(longest_side: int) -> Detect:
  classifier = cv2.CascadeClassifier(cv2.data.haarcascades + CASCADE_FILE)
  edges = np.array(CASCADE_EDGES)

  def detect(frame: np.ndarray) -> np.ndarray:
    small, scale = _reduced(frame, longest_side)
    smallest = max(20, round(max(small.shape[:2]) * CASCADE_SMALLEST))
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    squares = classifier.detectMultiScale(grey, scaleFactor=1.1, minNeighbors=4, minSize=(smallest, smallest))
    squares = np.asarray(squares, np.float32).reshape(-1, 4) / scale
    return _as_faces(squares[:, [0, 1, 0, 1]] + edges * squares[:, 2:3], np.ones(len(squares)), np.zeros(len(squares)))

  return detect


def _seen_closer(find: Detect, planes: Planes, face: np.ndarray) -> np.ndarray:
  """The same face, (5,) or (6,), found in the part of a frame around it; as it was if it is not found there."""
  left, top, right, bottom = face[:4]
  place = np.delete(face, 4)  # the score
  margin_x, margin_y = SURROUNDINGS * (right - left), SURROUNDINGS * (bottom - top)
  around = left - margin_x, top - margin_y, right + margin_x, bottom + margin_y
  region = ycbcr.even_region(planes.region, *(rotated_boxes.bounds(place, around) if _lies(place) else around))
  if region is None:
    return face
  rgb = ycbcr.to_rgb(planes, region)
  seen = rotated_boxes.moved(place, region.left, region.top)
  found = _found_turned(find, rgb, seen) if _lies(place) else find(rgb)
  shared = overlap(seen, found)
  if not len(found) or shared.max() < SAME_FACE:
    return face
  return found[shared.argmax()] + np.float32([region.left, region.top] * 2 + [0] * (found.shape[1] - 4))


def _found_turned(find: Detect, rgb: np.ndarray, place: np.ndarray) -> np.ndarray:
  """Faces around a place of a picture, found where its head is upright, (n, 6)."""
  extent = (1 + 2 * SURROUNDINGS) * float((place[2:4] - place[:2]).max())
  side = min(LONGEST_SIDE, math.ceil(extent))
  square, to_picture, shift = rotated_boxes.turned_square(
    rgb, rotated_boxes.middle(place), extent, rotated_boxes.roll_of(place), side
  )
  return rotated_boxes.turned_back(find(square), to_picture, shift)


def _lies(place: np.ndarray) -> bool:
  return abs(rotated_boxes.roll_of(place)) > tilt.SMALL


def _yunet_file(model: str | os.PathLike[str] | None) -> Path | None:
  """Returns YuNet's file, or None when it is not here and cannot be downloaded."""
  named = model or os.environ.get(YUNET_VARIABLE)
  if named:
    if not Path(named).is_file():
      raise UserError(f'the detector model {named} does not exist: give another --detector_model or {YUNET_VARIABLE}')
    return Path(named)
  cached = user_cache() / YUNET_FILE
  if not _is_yunet(cached):
    _download(cached)
  return cached if _is_yunet(cached) else None


def _is_yunet(cached: Path) -> bool:
  """Whether the file that was tested is there, and nothing else: others may write to a cache."""
  return cached.is_file() and hashlib.sha256(cached.read_bytes()).hexdigest() == YUNET_SHA256


def _download(target: Path) -> None:
  """One short attempt; leaves nothing behind unless the file is the one that was tested."""
  try:
    with urllib.request.urlopen(YUNET_URL, timeout=DOWNLOAD_SECONDS) as response:
      content = response.read(YUNET_BYTES)
    if hashlib.sha256(content).hexdigest() != YUNET_SHA256:
      logging.warning('%s is not the file that this project was tested with: not used', YUNET_URL)
      return
    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, content)
  except (OSError, UserError) as error:  # no network, no such host, no room: the cascade serves
    logging.debug('no YuNet from %s: %s', YUNET_URL, error)


def _reduced(frame: np.ndarray, longest_side: int) -> tuple[np.ndarray, float]:
  height, width = frame.shape[:2]
  scale = min(1.0, longest_side / max(height, width))
  if scale == 1:
    return frame, scale
  size = max(1, round(width * scale)), max(1, round(height * scale))
  return cv2.resize(frame, size, interpolation=cv2.INTER_AREA), scale


def _as_faces(boxes: np.ndarray, scores: np.ndarray, rolls: np.ndarray) -> np.ndarray:
  return np.column_stack([boxes, scores, rolls]).astype(np.float32)
