"""The options of one dub: everything besides the face, the speech and the output."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lpips_jax.core.errors import UserError, check_choice
from lpips_jax.core.files import PathLike
from lpips_jax.faces.detect import DETECTORS

if TYPE_CHECKING:
  from ml_collections import ConfigDict

  from lpips_jax.audio.phones import TimedPhone
  from lpips_jax.dubbing.turns import Turn

LENGTHS = 'audio', 'video', 'shortest'
SILENCES = 'model', 'closed'
REFERENCES = 'rest', 'frame'
LABELS = 'none', 'corner'
SPEAKERS = ('auto',)
MAX_SHARPEN = 4.0
MAX_SECONDS = 1e8  # of any part
_CHOICES = ('detector', DETECTORS), ('length', LENGTHS), ('silence', SILENCES), ('label', LABELS)
_PARTS = 'face_part', 'audio_part', 'only'
_NO_TEXT = 'said'  # an option that cannot be written as text


@dataclasses.dataclass(frozen=True)
class Options:
  """Options of one dub.

  Attributes:
    detector: `auto`, `yunet` or `cascade`; see `faces.detect.make_detector`.
    detector_model: YuNet's file.
    boxes: a JSON file of face boxes, used in place of a detector; see `boxes.read_boxes`.
    save_boxes: where to write the boxes that were used, for a second run.
    pads: pixels by which boxes grow at the top, bottom, left and right. The crops of training are not padded.
    face_index: the number of the face to dub, counted from the left, 0 being the leftmost; by default the largest and
      most central one.
    face_at: x and y in pixels and a time in seconds: only the person whose face is there then is dubbed.
    all_faces: dubs every face.
    speaker: `auto` dubs whoever speaks in the film, frame by frame, by its own sound; see `speakers`.
    speaker_expert: the sync expert by which `speaker` is found; by default the one that the generator was trained with.
    turns: a JSON file, or what it holds, that says who says what and when; see `turns`. It replaces the speech.
    face_part: begin and end, in seconds, of the part of the face video that is used; by default all of it.
    audio_part: likewise, of the speech.
    only: begin and end, in seconds, of the part of the dub that is made, to try it out; by default all of it.
    length: `audio`: as long as the audio, the video being played there and back if it is the shorter; `video`: as long
      as the video; `shortest`: as long as the shorter. A still image lasts as long as the audio.
    silence: mouths where the speech pauses: `model`: whatever the generator makes of the sound there; `closed`: the
      generator hears silence, and is shown the person's mouth at rest.
    reference: the face that the generator is shown beside the frame that it changes: `rest`, the person's mouth as
      nearly shut as the video has it, in the pose of the frame; `frame`, the frame itself, as in Wav2Lip, which lets
      the filmed mouth through; by default as the generator was trained.
    sharpen: how much generated faces are sharpened, 0 to 4; see `faces.cropping.change`.
    label: `corner` writes "AI MODIFIED" into the picture; `none` does not.
    no_marks: leaves out the marks of provenance: the statement in the file that a network changed it.
    synthetic_voice: the voice, if the speech was made from text: the marks say so.
    said: the phones of the speech, as `speaking.Utterance` has them, in place of those that a recogniser would hear.
    c2pa_cert: a PEM file with a certificate and its chain, with which the file is signed; see `provenance`.
    c2pa_key: a PEM file with the certificate's private key.
    other_inputs, other_outputs: files that the caller reads or writes for this dub, such as a text and its subtitles;
      no file that is written may be another one of the dub.
    preview: where to write a second video, with source, generated faces and result side by side.
    codec: see `media.video_writer.CODECS`; h264 by default, vp9 in a .webm.
    crf: the codec's constant quality.
    max_pixels: the largest picture that is accepted, width times height.
    max_minutes: the longest speech that is accepted.

  Raises:
    UserError: on construction, when a value is out of range, or two exclude each other.
  """

  detector: str = 'auto'
  detector_model: PathLike | None = None
  boxes: PathLike | None = None
  save_boxes: PathLike | None = None
  pads: Sequence[int] = (0, 0, 0, 0)
  face_index: int | None = None
  face_at: Sequence[float] | None = None
  all_faces: bool = False
  speaker: str | None = None
  speaker_expert: PathLike | None = None
  turns: 'PathLike | Sequence[Turn] | None' = None
  face_part: Sequence[float] | None = None
  audio_part: Sequence[float] | None = None
  only: Sequence[float] | None = None
  length: str = 'audio'
  silence: str = 'model'
  reference: str | None = None
  sharpen: float = 0.0
  label: str = 'none'
  no_marks: bool = False
  synthetic_voice: str = ''
  said: 'Sequence[TimedPhone] | None' = None
  c2pa_cert: PathLike | None = None
  c2pa_key: PathLike | None = None
  other_inputs: Sequence[PathLike] = ()
  other_outputs: Sequence[PathLike] = ()
  preview: PathLike | None = None
  codec: str | None = None
  crf: int | None = None
  max_pixels: int = 8192 * 4320
  max_minutes: float = 240.0

  def __post_init__(self) -> None:
    for name, choices in _CHOICES:
      check_choice(name, getattr(self, name), choices)
    for name in _PARTS:
      _check_part(name, getattr(self, name))
    if self.reference is not None:
      check_choice('reference', self.reference, REFERENCES)
    if len(self.pads) != 4:
      given = ','.join(map(str, self.pads))
      raise UserError(f'pads must be four numbers of pixels, top,bottom,left,right, not {given}', 'pads')
    if self.face_at is not None and (len(self.face_at) != 3 or not all(0 <= x < float('inf') for x in self.face_at)):
      raise UserError('face_at must be three numbers, x,y,t: a place in pixels and a time in seconds', 'face_at')
    if self.face_index is not None and self.face_index < 0:
      raise UserError(f'face_index counts faces from the left, from 0 on; {self.face_index} is none', 'face_index')
    if not 0 <= self.sharpen <= MAX_SHARPEN:
      raise UserError(f'sharpen must be from 0 to {MAX_SHARPEN:g}, not {self.sharpen:g}', 'sharpen')
    if self.max_pixels < 1 or not self.max_minutes > 0:
      raise UserError('max_pixels and max_minutes must be more than 0', 'max_pixels', 'max_minutes')
    if self.no_marks and (self.c2pa_cert is not None or self.c2pa_key is not None):
      raise UserError('no_marks leaves out the signature, too: give no c2pa_cert, or leave out no_marks', 'no_marks')
    self._check_faces()

  def _check_faces(self) -> None:
    if self.speaker is not None:
      check_choice('speaker', self.speaker, SPEAKERS)
    names = 'boxes', 'face_index', 'face_at', 'speaker', 'turns'
    given = [getattr(self, name) is not None for name in names]
    if sum([*given, self.all_faces]) > 1:
      listed = 'boxes, face_index, face_at, all_faces, speaker and turns'
      raise UserError(f'{listed} each say whom to dub: give one of them', *names, 'all_faces')
    if self.turns is not None and self.audio_part is not None:
      raise UserError('turns say themselves what is heard when: leave out audio_part', 'turns', 'audio_part')


def from_text(texts: Mapping[str, str]) -> dict[str, Any]:
  """Parses options that are written as text, as in a list of jobs; the numbers of a list have commas between them.

  Args:
    texts: by the name of the field of `Options`.

  Returns:
    The values, by name.

  Raises:
    UserError: there is no such option, or the text is no value of it.
  """
  values = {}
  for name, text in texts.items():
    if name == _NO_TEXT or name not in (field.name for field in dataclasses.fields(Options)):
      raise UserError(f'there is no option {name!r}')
    parse, form = _PARSERS.get(name, (str, 'text'))
    try:
      values[name] = parse(text)
    except (ValueError, KeyError) as error:
      raise UserError(f'{name} must be {form}, not {text}', name) from error
  return values


def default_reference(data: 'ConfigDict') -> str:
  """Returns the one of `REFERENCES` that the generator of a `config.data` was trained with; Wav2Lip's is 'frame'."""
  return 'rest' if data.get('reference') == 'rest' else 'frame'


def _check_part(name: str, part: Sequence[float] | None) -> None:
  if part is not None and not (len(part) == 2 and 0 <= part[0] < part[1] <= MAX_SECONDS):
    raise UserError(f'{name} must be two numbers of seconds, begin,end, with 0 <= begin < end', name)


def _numbers(kind: Callable[[str], Any]) -> Callable[[str], list[Any]]:
  return lambda text: [kind(part) for part in text.split(',')]


_BOOLEANS = {'true': True, '1': True, 'false': False, '0': False}
_PARSERS: dict[str, tuple[Callable[[str], Any], str]] = {
  'pads': (_numbers(int), 'four whole numbers, top,bottom,left,right'),
  'face_at': (_numbers(float), 'three numbers, x,y,t'),
  'face_index': (int, 'a whole number'),
  'all_faces': (lambda text: _BOOLEANS[text.lower()], 'true or false'),
  'no_marks': (lambda text: _BOOLEANS[text.lower()], 'true or false'),
  **{name: (_numbers(float), 'two numbers of seconds, begin,end') for name in _PARTS},
  'sharpen': (float, 'a number'),
  'crf': (int, 'a whole number'),
  'max_pixels': (int, 'a whole number'),
  'max_minutes': (float, 'a number'),
}
