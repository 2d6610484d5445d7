"""Frames in, frames with the boxes of those who are dubbed out: from a file, or found as the video plays."""

import itertools
import os
from collections.abc import Iterable, Iterator
from typing import Protocol

from lpips_jax.cli import UserError
from lpips_jax.dubbing.boxes import Boxes, grown, read_boxes, write_boxes
from lpips_jax.dubbing.following import Choose, follow
from lpips_jax.dubbing.options import Options
from lpips_jax.media.detect import Detect
from lpips_jax.media.playback import Shown
from lpips_jax.media.video import VideoInfo


class Locator(Protocol):
  """Says where faces are; for one video, once."""

  def __call__(self, frames: Iterable[Shown]) -> Iterator[tuple[Shown, Boxes]]:
    """Yields frames with their boxes, grown by `Options.pads`."""

  def save(self) -> None:
    """Writes the boxes, as they were before they grew, where `Options.save_boxes` says."""


class GivenBoxes:
  """Reads `Options.boxes`; frames of which it says nothing are left alone.

  Raises:
    UserError: on construction, when the file cannot be read, or a box cannot be.
  """

  def __init__(self, options: Options, info: VideoInfo) -> None:
    self._options = options
    self._given = read_boxes(options.boxes)
    self._grown = [[grown(box, options.pads, info, frame) for box in boxes] for frame, boxes in enumerate(self._given)]

  def __call__(self, frames: Iterable[Shown]) -> Iterator[tuple[Shown, Boxes]]:
    for shown in frames:
      yield shown, self._grown[shown.index] if shown.index < len(self._grown) else []

  def save(self) -> None:
    if self._options.save_boxes is not None:
      write_boxes(self._options.save_boxes, self._given)


class FoundBoxes:
  """Finds faces in frames that are seen for the first time, and remembers them for when the video plays backwards."""

  def __init__(
    self, face: str | os.PathLike[str], info: VideoInfo, find: Detect, choose: Choose, options: Options
  ) -> None:
    self._face, self._info, self._find, self._choose, self._options = face, info, find, choose, options
    self._found: list[Boxes] = []  # of each frame of the source

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
      self._found.append(boxes)
      yield shown, self._grown(shown.index)
    if not any(self._found):
      raise UserError(f'{os.fspath(self._face)} shows no face in any of its {len(self._found)} frames')
    for shown in itertools.chain(repeated, frames):
      yield shown, self._grown(shown.index)

  def save(self) -> None:
    if self._options.save_boxes is not None:
      write_boxes(self._options.save_boxes, self._found)

  def _grown(self, frame: int) -> Boxes:
    return [grown(box, self._options.pads, self._info, frame) for box in self._found[frame]]
