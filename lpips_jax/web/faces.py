"""The faces in one frame of a film, to choose from."""

import base64
import threading
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from lpips_jax.core.errors import UserError
from lpips_jax.core.files import PathLike
from lpips_jax.faces.detect import Detect, in_planes, make_detector
from lpips_jax.media import ycbcr
from lpips_jax.media.playback import play
from lpips_jax.media.video_reader import VideoInfo, part_of, probe
from lpips_jax.web.limits import Limits

SHOWN_SIDE = 960  # pixels of the longer side of the picture that browsers get
FRAMES_LOOKED_FOR = Fraction(1, 2)  # seconds


@dataclass(frozen=True, eq=False)
class Sight:
  """One frame of a film, and the faces in it.

  Attributes:
    width, height: of the film, in pixels.
    seconds: the length of the film; 0 for a still.
    time: when the frame is shown, in seconds after the first.
    boxes: (n, 4), left, top, right and bottom in pixels, from left to right.
    picture: a data URL of a JPEG of the frame.
    still: whether the film is one picture.
  """

  width: int
  height: int
  seconds: float
  time: float
  boxes: np.ndarray
  picture: str
  still: bool

  def middles(self) -> list[tuple[float, float, float]]:
    """Returns x, y and the time of each face, as `Options.face_at` takes them."""
    return [
      (round(float(left + right) / 2, 1), round(float(top + bottom) / 2, 1), round(self.time, 3))
      for left, top, right, bottom in self.boxes
    ]


class Finder:
  """Finds faces in frames, for one browser at a time.

  Args:
    detector: one of `faces.detect.DETECTORS`.
    detector_model: YuNet's file.
  """

  def __init__(self, detector: str = 'auto', detector_model: PathLike | None = None) -> None:
    self._detector = detector, detector_model
    self._find: Detect | None = None
    self._lock = threading.Lock()  # OpenCV's detectors keep the size of the last picture

  def look(self, face: Path, seconds: float, limits: Limits) -> Sight:
    """Looks at the frame of a film that is shown after some seconds, or at the last if it is shorter.

    Raises:
      UserError: the film cannot be read, or is too large.
    """
    info = probe(face, limits.max_pixels)
    length = 0.0 if info.still or info.frames is None else float(info.frames / info.rate)
    time = 0.0 if info.still else min(max(0.0, seconds), max(0.0, length - float(1 / info.rate)))
    shown_at, planes = _frame(face, info, time)
    with self._lock:
      if self._find is None:
        self._find = make_detector(*self._detector)
      found = in_planes(self._find, planes)
    boxes = np.clip(found[:, :4], 0, [info.width, info.height] * 2).round(1)
    return Sight(
      info.width,
      info.height,
      round(length, 2),
      shown_at,
      boxes[np.argsort(boxes[:, 0])],
      _jpeg(ycbcr.reduced_rgb(planes, SHOWN_SIDE)),
      info.still,
    )


def _frame(face: Path, info: VideoInfo, time: float) -> tuple[float, ycbcr.Planes]:
  begin = Fraction(time).limit_denominator(1000)
  for shown in play(face, part_of(info, begin, begin + FRAMES_LOOKED_FOR) if begin else info):
    return float(begin + shown.time), shown.planes
  raise UserError(f'{face} has no frame that can be decoded')


def _jpeg(picture: np.ndarray) -> str:
  encoded = cv2.imencode('.jpg', cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
  return f'data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode()}'
