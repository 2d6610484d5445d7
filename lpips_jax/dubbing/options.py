"""What one may ask of a dub, beside the face, the speech and where to write."""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lpips_jax.core.errors import UserError
from lpips_jax.faces.detect import DETECTORS

LENGTHS = 'audio', 'video', 'shortest'
SILENCES = 'model', 'closed'
REFERENCES = 'rest', 'frame'
MOST_SHARPENING = 4.0

Path_ = str | os.PathLike[str]


def reference_of(config: Any) -> str:
  """Returns which of `REFERENCES` the generator of a config was made to be shown; by default Wav2Lip's, 'frame'."""
  return 'rest' if config.data.get('reference') == 'rest' else 'frame'


@dataclasses.dataclass(frozen=True)
class Options:
  """Options of one dub.

  Attributes:
    detector: `auto`, `yunet` or `cascade`; see `faces.detect.make_detector`.
    detector_model: YuNet's file.
    boxes: a JSON file of face boxes, used in place of a detector; see `boxes.read_boxes`.
    save_boxes: where to write the boxes that were used, for a second run.
    pads: pixels by which boxes grow at the top, bottom, left and right. The crops of training are not padded.
    face_index: which face from the left is dubbed, 0 being the leftmost; by default the largest and most central.
    face_at: x and y in pixels and a time in seconds: only whose face is there then is dubbed.
    all_faces: every face is dubbed.
    length: `audio`: as long as the audio, the video being played there and back if it is the shorter; `video`: as long
      as the video; `shortest`: as long as the shorter. A still image lasts as long as the audio.
    silence: what mouths do where the speech pauses: `model`: whatever the generator makes of the sound there; `closed`:
      it is given silence, and shown the person's mouth at rest.
    reference: what the generator is shown of the person beside the frame that it changes: `rest`, their mouth as nearly
      shut as the video has it, in the pose of the frame; `frame`, the frame itself, as in Wav2Lip, which lets the
      filmed mouth through; by default what the generator was trained with.
    sharpen: how much generated faces are sharpened; see `faces.cropping.change`.
    preview: where to write a second video, with source, generated faces and result side by side.
    codec: see `media.video_writer.CODECS`; h264 by default, vp9 in a .webm.
    crf: the codec's constant quality.
    max_pixels: the largest picture, width times height, that is taken.
    max_minutes: the longest speech that is taken.

  Raises:
    UserError: on construction, when a value cannot be.
  """

  detector: str = 'auto'
  detector_model: Path_ | None = None
  boxes: Path_ | None = None
  save_boxes: Path_ | None = None
  pads: Sequence[int] = (0, 0, 0, 0)
  face_index: int | None = None
  face_at: Sequence[float] | None = None
  all_faces: bool = False
  length: str = 'audio'
  silence: str = 'model'
  reference: str | None = None
  sharpen: float = 0.0
  preview: Path_ | None = None
  codec: str | None = None
  crf: int | None = None
  max_pixels: int = 8192 * 4320
  max_minutes: float = 240.0

  def __post_init__(self) -> None:
    if self.detector not in DETECTORS:
      raise UserError(f'--detector must be one of {", ".join(DETECTORS)}, not {self.detector!r}')
    if self.length not in LENGTHS:
      raise UserError(f'--length must be one of {", ".join(LENGTHS)}, not {self.length!r}')
    if self.silence not in SILENCES:
      raise UserError(f'--silence must be one of {", ".join(SILENCES)}, not {self.silence!r}')
    if self.reference not in (None, *REFERENCES):
      raise UserError(f'--reference must be one of {", ".join(REFERENCES)}, not {self.reference!r}')
    if len(self.pads) != 4:
      raise UserError(
        f'--pads must be four numbers of pixels, top,bottom,left,right, not {",".join(map(str, self.pads))}'
      )
    if self.face_at is not None and (len(self.face_at) != 3 or not all(0 <= x < float('inf') for x in self.face_at)):
      raise UserError('--face_at must be three numbers, x,y,t: a place in pixels and a time in seconds')
    if self.face_index is not None and self.face_index < 0:
      raise UserError(f'--face_index counts faces from the left, from 0 on; {self.face_index} is none')
    if not 0 <= self.sharpen <= MOST_SHARPENING:
      raise UserError(f'--sharpen must be from 0 to {MOST_SHARPENING:g}, not {self.sharpen:g}')
    if self.max_pixels < 1 or not self.max_minutes > 0:
      raise UserError('--max_pixels and --max_minutes must be more than 0')
    given = [self.boxes is not None, self.face_index is not None, self.face_at is not None, self.all_faces]
    if sum(given) > 1:
      raise UserError('--boxes, --face_index, --face_at and --all_faces each say whom to dub: give one of them')


def from_text(texts: Mapping[str, str]) -> dict[str, Any]:
  """Returns values of options that are written as text, as in a list of jobs: numbers of a list between commas.

  Raises:
    UserError: there is no such option, or this is no value of it.
  """
  values = {}
  for name, text in texts.items():
    if name not in (field.name for field in dataclasses.fields(Options)):
      raise UserError(f'there is no option {name!r}')
    parse, form = _PARSERS.get(name, (str, 'text'))
    try:
      values[name] = parse(text)
    except (ValueError, KeyError) as error:
      raise UserError(f'--{name} must be {form}, not {text}') from error
  return values


def _numbers(kind: Callable[[str], Any]) -> Callable[[str], list[Any]]:
  return lambda text: [kind(part) for part in text.split(',')]


_PARSERS: dict[str, tuple[Callable[[str], Any], str]] = {
  'pads': (_numbers(int), 'four whole numbers, top,bottom,left,right'),
  'face_at': (_numbers(float), 'three numbers, x,y,t'),
  'face_index': (int, 'a whole number'),
  'all_faces': (lambda text: {'true': True, '1': True, 'false': False, '0': False}[text.lower()], 'true or false'),
  'sharpen': (float, 'a number'),
  'crf': (int, 'a whole number'),
  'max_pixels': (int, 'a whole number'),
  'max_minutes': (float, 'a number'),
}
