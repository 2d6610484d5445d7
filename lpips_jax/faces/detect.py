"""Face detection: YuNet where its file is available, else the cascade that comes with OpenCV."""

import hashlib
import math
import os
import urllib.request
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from absl import logging

from lpips_jax.core.errors import UserError, check_choice
from lpips_jax.core.files import PathLike, user_cache, write_whole
from lpips_jax.faces import rotated_boxes, tilt
from lpips_jax.faces.boxes import SAME_FACE_IOU, overlap
from lpips_jax.media import ycbcr
from lpips_jax.media.ycbcr import Planes

DETECTORS = 'auto', 'yunet', 'cascade'
DETECTION_SIDE = 480  # pixels of the longer side; YuNet then found the face in every frame of six clips of real people
SECOND_LOOK_SCALE = 1.25  # frames reduced by this factor or more are looked at again around each face
SECOND_LOOK_MARGIN = 0.5  # of the face's width and height, on each side
MIN_SCORE = 0.6  # YuNet's confidence; below it there is no face
YUNET_VARIABLE = 'LIPSYNC_YUNET'
YUNET_FILE = 'yunet_n_640_640.onnx'
YUNET_URL = f'https://raw.githubusercontent.com/ShiqiYu/libfacedetection.train/master/onnx/{YUNET_FILE}'
MAX_YUNET_BYTES = 1 << 20  # the file is smaller
YUNET_SHA256 = '25a606a145a5b6d7271ae138fbd00eba91dad8b83222ae3f2c7ecd0f4a7b0e31'
YUNET_STRIDE = 32  # pixels; the sides of its input are multiples of this
DOWNLOAD_TIMEOUT = 5.0
# The cascade's squares in YuNet's convention: left, top, right and bottom in units of the square's side. They are the
# means, over six clips of real faces, of each clip's median over every fifth frame. On those same frames the boxes then
# agree with YuNet's to a mean IoU of 0.87 (0.74 before, 0.79 at the fifth percentile), each edge on average to within
# 5 % of the face's width. The cascade found 280 of the 281 faces there, and 9 false ones; with histogram equalisation
# 277 and 14.
CASCADE_FILE = 'haarcascade_frontalface_alt2.xml'
CASCADE_EDGES = 0.095, -0.04, 0.90, 1.07
CASCADE_MIN_SIDE = 1 / 16  # of the picture's longer side: smaller squares are mostly false

Detect = Callable[[np.ndarray], np.ndarray]  # from a picture to its faces; see `make_detector`


def make_detector(kind: str = 'auto', model: PathLike | None = None, longest_side: int = DETECTION_SIDE) -> Detect:
  """Returns a function that finds faces.

  Args:
    kind: `yunet`, `cascade`, or `auto`: the first of the two that is available.
    model: YuNet's file; by default it is searched for as `choose_detector` says.
    longest_side: larger frames are reduced to this many pixels; passing reduced ones saves time.

  Returns:
    A function from a frame, (H, W, 3) uint8 RGB, to its faces: (n, 6) float32 with left, top, right, bottom in pixels
    of that frame, in YuNet's convention, a score, and the roll in radians; see `faces.rotated_boxes`. The cascade only
    finds upright heads.

  Raises:
    UserError: there is no such detector, or its file is missing or unreadable.
  """
  _, file = choose_detector(kind, model)
  return _cascade(longest_side) if file is None else _yunet(file, longest_side)


def in_planes(find: Detect, planes: Planes) -> np.ndarray:
  """Returns the faces of a 4:2:0 frame, as a `Detect` does, in pixels of the frame.

  They are found in a reduced picture. Where that has lost detail, each is then found again in its own surroundings,
  which brings boxes closer to those found at full size: in six clips of real people each edge was off by 1.0 % to 1.6 %
  of the face's width in the mean; without the second look by 2.8 % in the largest pictures.
  """
  faces = find(ycbcr.reduced_rgb(planes, DETECTION_SIDE))
  scale = max(planes.size) / DETECTION_SIDE
  if scale <= 1:
    return faces
  faces = faces * np.array([scale] * 4 + [1] * (faces.shape[1] - 4), np.float32)
  if scale < SECOND_LOOK_SCALE:
    return faces
  return np.array([_second_look(find, planes, face) for face in faces], np.float32).reshape(len(faces), faces.shape[1])


def choose_detector(kind: str, model: PathLike | None = None) -> tuple[str, Path | None]:
  """Resolves `auto`, and finds or downloads YuNet's file: once, on behalf of many processes.

  YuNet's file is `model` if given, else the one that the environment variable LIPSYNC_YUNET names, else the one in the
  user's cache, else it is downloaded there in one short attempt.

  Args:
    kind: one of `DETECTORS`.
    model: YuNet's file.

  Returns:
    `yunet` with its file, or `cascade` with None: the arguments of `make_detector`.

  Raises:
    UserError: there is no such detector, or its file is not available.
  """
  check_choice('detector', kind, DETECTORS)
  if kind == 'cascade':
    return kind, None
  file = _yunet_file(model)
  if file is not None:
    return 'yunet', file
  if kind == 'yunet':
    raise UserError(
      f'YuNet is not here and cannot be downloaded: get {YUNET_URL} and give it as detector_model', 'detector_model'
    )
  logging.warning(
    'no YuNet here and no download: using the cascade of OpenCV, which is slower and sees frontal faces only; '
    'get %s and give it as detector_model, or name it by LIPSYNC_YUNET',
    YUNET_URL,
  )
  return 'cascade', None


def _yunet(file: Path, longest_side: int) -> Detect:
  try:
    network = cv2.FaceDetectorYN.create(str(file), '', (DETECTION_SIDE, DETECTION_SIDE), MIN_SCORE)
  except cv2.error as error:
    raise UserError(f'{file} is not a YuNet model that OpenCV can read') from error

  def detect(frame: np.ndarray) -> np.ndarray:
    small, scale = _downscaled(frame, longest_side)
    height, width = (math.ceil(side / YUNET_STRIDE) * YUNET_STRIDE for side in small.shape[:2])
    canvas = np.zeros((height, width, 3), np.uint8)
    canvas[: small.shape[0], : small.shape[1]] = small[..., ::-1]  # OpenCV's networks see BGR
    network.setInputSize((width, height))
    _, faces = network.detect(canvas)
    if faces is None:
      return np.zeros((0, 6), np.float32)
    faces = faces[np.isfinite(faces).all(axis=1)]  # YuNet answers with NaN in pictures a few pixels high
    boxes = np.concatenate([faces[:, :2], faces[:, :2] + faces[:, 2:4]], axis=1)
    return _as_faces(boxes / scale, faces[:, -1], tilt.read_tilt(faces[:, 4:14].reshape(-1, 5, 2)))

  return lambda frame: tilt.find_tilted(detect, frame)


def _cascade(longest_side: int) -> Detect:
  if not hasattr(cv2, 'CascadeClassifier'):
    raise UserError('OpenCV 5 has no cascade: name the file of YuNet with detector_model', 'detector_model')
  cascades = cv2.data.haarcascades  # type: ignore[attr-defined]  # which OpenCV's stubs leave out
  classifier = cv2.CascadeClassifier(cascades + CASCADE_FILE)
  edges = np.array(CASCADE_EDGES)

  def detect(frame: np.ndarray) -> np.ndarray:
    small, scale = _downscaled(frame, longest_side)
    smallest = max(20, round(max(small.shape[:2]) * CASCADE_MIN_SIDE))
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    found = classifier.detectMultiScale(grey, scaleFactor=1.1, minNeighbors=4, minSize=(smallest, smallest))
    squares = np.asarray(found, np.float32).reshape(-1, 4) / scale
    return _as_faces(squares[:, [0, 1, 0, 1]] + edges * squares[:, 2:3], np.ones(len(squares)), np.zeros(len(squares)))

  return detect


def _second_look(find: Detect, planes: Planes, face: np.ndarray) -> np.ndarray:
  """Finds a face, (5,) or (6,), again in the part of a frame around it; returns it as it was if it is not there."""
  left, top, right, bottom = face[:4]
  box = np.delete(face, 4)  # without the score
  margin_x, margin_y = SECOND_LOOK_MARGIN * (right - left), SECOND_LOOK_MARGIN * (bottom - top)
  around = left - margin_x, top - margin_y, right + margin_x, bottom + margin_y
  region = ycbcr.even_region(planes.region, *(rotated_boxes.bounds(box, around) if _is_tilted(box) else around))
  if region is None:
    return face
  rgb = ycbcr.to_rgb(planes, region)
  seen = rotated_boxes.moved(box, region.left, region.top)
  found = _find_upright(find, rgb, seen) if _is_tilted(box) else find(rgb)
  shared = overlap(seen, found)
  if not len(found) or shared.max() < SAME_FACE_IOU:
    return face
  return found[shared.argmax()] + np.array([region.left, region.top] * 2 + [0] * (found.shape[1] - 4), np.float32)


def _find_upright(find: Detect, rgb: np.ndarray, box: np.ndarray) -> np.ndarray:
  """Finds the faces, (n, 6), around a tilted one, in the picture turned so that it is upright."""
  extent = (1 + 2 * SECOND_LOOK_MARGIN) * float((box[2:4] - box[:2]).max())
  side = min(DETECTION_SIDE, math.ceil(extent))
  square, to_picture, shift = rotated_boxes.turned_square(
    rgb, rotated_boxes.middle(box), extent, rotated_boxes.roll_of(box), side
  )
  return rotated_boxes.turned_back(find(square), to_picture, shift)


def _is_tilted(box: np.ndarray) -> bool:
  return abs(rotated_boxes.roll_of(box)) > tilt.SMALL_TILT


def _yunet_file(model: PathLike | None) -> Path | None:
  """Returns YuNet's file, or None when it is not here and cannot be downloaded."""
  named = model or os.environ.get(YUNET_VARIABLE)
  if named:
    if not Path(named).is_file():
      raise UserError(
        f'the detector model {named} does not exist: give another detector_model or {YUNET_VARIABLE}', 'detector_model'
      )
    return Path(named)
  cached = user_cache() / YUNET_FILE
  if not _is_yunet(cached):
    _download(cached)
  return cached if _is_yunet(cached) else None


def _is_yunet(cached: Path) -> bool:
  """Returns whether this is the very file that was tested: others may write to a cache."""
  return cached.is_file() and hashlib.sha256(cached.read_bytes()).hexdigest() == YUNET_SHA256


def _download(target: Path) -> None:
  """Downloads YuNet in one short attempt; leaves nothing behind unless it is the file that was tested."""
  try:
    with urllib.request.urlopen(YUNET_URL, timeout=DOWNLOAD_TIMEOUT) as response:
      content = response.read(MAX_YUNET_BYTES)
    if hashlib.sha256(content).hexdigest() != YUNET_SHA256:
      logging.warning('%s is not the file that this project was tested with: not used', YUNET_URL)
      return
    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, content)
  except (OSError, UserError) as error:  # no network, no such host, no room: the cascade will do
    logging.debug('no YuNet from %s: %s', YUNET_URL, error)


def _downscaled(frame: np.ndarray, longest_side: int) -> tuple[np.ndarray, float]:
  """Returns a frame reduced to this many pixels on its longer side, if it has more, and the factor."""
  height, width = frame.shape[:2]
  scale = min(1.0, longest_side / max(height, width))
  if scale == 1:
    return frame, scale
  size = max(1, round(width * scale)), max(1, round(height * scale))
  return cv2.resize(frame, size, interpolation=cv2.INTER_AREA), scale


def _as_faces(boxes: np.ndarray, scores: np.ndarray, rolls: np.ndarray) -> np.ndarray:
  return np.column_stack([boxes, scores, rolls]).astype(np.float32)
