"""Frames in, frames with the boxes of those who are dubbed out: from a file, or found as the video plays."""

import itertools
import os
from collections.abc import Iterable, Iterator
from typing import Protocol

from lpips_jax.cli import UserError
from lpips_jax.dubbing.boxes import Boxes, grown, read_boxes
from lpips_jax.dubbing.following import Choose, follow
from lpips_jax.dubbing.options import Options
from lpips_jax.media.detect import Detect
from lpips_jax.media.playback import Shown
from lpips_jax.media.video import VideoInfo


class Locator(Protocol):
  """Says where faces are; for one video, once.

  Attributes:
    found: the boxes of each frame of the source, before they grew.
  """

  found: list[Boxes]

  def __call__(self, frames: Iterable[Shown]) -> Iterator[tuple[Shown, Boxes]]:
    """Yields frames with their boxes, grown by `Options.pads`."""


class GivenBoxes:
  """Reads `Options.boxes`; frames of which it says nothing are left alone.

  Raises:
    UserError: on construction, when the file cannot be read, or a box cannot be.
  """

  def __init__(self, options: Options, info: VideoInfo) -> None:
    self.found = read_boxes(options.boxes)
    self._grown = [[grown(box, options.pads, info, frame) for box in boxes] for frame, boxes in enumerate(self.found)]

  def __call__(self, frames: Iterable[Shown]) -> Iterator[tuple[Shown, Boxes]]:
    for shown in frames:
      yield shown, self._grown[shown.index] if shown.index < len(self._grown) else []


class FoundBoxes:
  """Finds faces in frames that are seen for the first time, and remembers them for when the video plays backwards."""

  def __init__(
    self, face: str | os.PathLike[str], info: VideoInfo, find: Detect, choose: Choose, options: Options
  ) -> None:
    self._face, self._info, self._find, self._choose, self._options = face, info, find, choose, options
    self.found: list[Boxes] = []

  def __call__(self, frames: Iterable[Shown]) -> Iterator[tuple[Shown, Boxes]]:
    """As `Locator` says; raises UserError when no frame has shown a face."""
    frames = iter(frames)
    repeated: list[Shown] = []

    def fresh() -> Iterator[Shown]:
      for number, shown in enumerate(frames):
        if shown.index < number:
          repeated.append(shown)
          return
        yield shown

    for shown, boxes in follow(fresh(), self._find, self._info, self._choose):
      self.found.append(boxes)
      yield shown, self._grown(shown.index)
    if not any(self.found):
      raise UserError(f'{os.fspath(self._face)} shows no {self._wanted()} in any of its {len(self.found)} frames')
    for shown in itertools.chain(repeated, frames):
      yield shown, self._grown(shown.index)

  def _wanted(self) -> str:
    most = getattr(self._choose, 'most', 0)
    if not most:
      return 'face'
    return f'face number {self._options.face_index} from the left (0 is the first, {most - 1} the last at any time)'

  def _grown(self, frame: int) -> Boxes:
    return [grown(box, self._options.pads, self._info, frame) for box in self.found[frame]]
