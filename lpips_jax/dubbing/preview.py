"""A second video beside a dub: source, generated faces and result, side by side."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

import cv2
import numpy as np

from lpips_jax.core.files import PathLike
from lpips_jax.media.video_reader import VideoInfo
from lpips_jax.media.video_writer import FileMarks, write_video
from lpips_jax.media.ycbcr import Colours

PREVIEW_HEIGHT = 360  # pixels

# From a time in seconds, a frame before, the generated faces (s, s, 3), and the frame after, all uint8 RGB.
Watch = Callable[[Fraction, np.ndarray, Sequence[np.ndarray], np.ndarray], None]


@contextlib.contextmanager
def write_preview(
  path: PathLike,
  info: VideoInfo,
  sound: PathLike,
  whole_sound: bool,
  delay: Fraction,
  marks: FileMarks | None = None,
) -> Iterator[Watch]:
  """Opens the second video for writing; it appears under its name once it is complete.

  Args:
    path: where to write it.
    info: what `probe` says of the source.
    sound, whole_sound, delay, marks: of the dub; see `write_video`.

  Yields:
    A function that writes one frame; see `Watch`.
  """
  width = max(2, round(info.width * PREVIEW_HEIGHT / info.height))
  layout = dataclasses.replace(
    info, width=2 * width + PREVIEW_HEIGHT, height=PREVIEW_HEIGHT, colours=Colours(), aspect=Fraction(1)
  )
  with write_video(path, layout, sound, whole_sound, delay, marks=marks) as write:

    def watch(time: Fraction, before: np.ndarray, made: Sequence[np.ndarray], after: np.ndarray) -> None:
      panel = np.zeros((PREVIEW_HEIGHT, PREVIEW_HEIGHT, 3), np.uint8)
      if made:  # beside one another
        side = max(1, PREVIEW_HEIGHT // len(made))
        for k, image in enumerate(made[:PREVIEW_HEIGHT]):
          panel[:side, k * side : (k + 1) * side] = cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC)
      pictures = [cv2.resize(image, (width, PREVIEW_HEIGHT), interpolation=cv2.INTER_AREA) for image in (before, after)]
      write(np.concatenate([pictures[0], panel, pictures[1]], axis=1), time)

    yield watch
