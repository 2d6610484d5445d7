"""The clip record: the format that every corpus stores and every reader relies on.

A record is a clip of one speaker: square face crops at 25 frames a second, JPEG-coded one by one so that a reader
decodes only those that its window needs, and 16 kHz speech that starts with the first frame.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
import simplejpeg

from lpips_jax.audio.loudness import mel_of
from lpips_jax.audio.phones import recognise_phones
from lpips_jax.core.constants import FRAME_RATE, MEL_BANDS, MEL_RATE, SAMPLES_PER_FRAME

JPEG_QUALITY = 95  # at 96 pixels about 6 kB a frame; a lower quality shows in the mouth

Record = dict[str, Any]  # the arrays and texts that `record_features` lists


class Word(NamedTuple):
  """A word of a transcript, and when it is said, in seconds from the first frame of its record."""

  text: str
  start: float
  end: float


class RecordSource(Protocol):
  """The records of a split, by index: a TFDS data source or a list."""

  def __len__(self) -> int: ...

  def __getitem__(self, index: int, /) -> Record: ...


def record_features(**extra: Any) -> Any:
  """Returns the TFDS features of a record, and `extra` ones of a corpus; none of them needs TensorFlow.

  - `id`: text, unique within the corpus.
  - `speaker`: text.
  - `frames`: sequence of JPEG-coded RGB crops, bytes.
  - `audio`: (S,) int16, 16 kHz.
  - `mel`: (1 + S // 200, 80) float32, `lpips_jax.audio.loudness.mel_of` the audio, brought to one level.
  - `phones`: (1 + S // 200,) int8, `lpips_jax.audio.phones.recognise_phones` of the audio, or the true phones.
  - `box`: (T, 4) int32, left, top, right, bottom of each crop in the video it was cut from, rounded to pixels;
    the crop of a tilted head was turned upright about the centre of its box.
  """
  import tensorflow_datasets as tfds  # here: preparation makes records without TFDS, in processes that start often

  as_bytes = tfds.features.Encoding.BYTES  # lists of numbers would take ten times as long to read
  return tfds.features.FeaturesDict(
    {
      'id': tfds.features.Text(),
      'speaker': tfds.features.Text(),
      'frames': tfds.features.Sequence(tfds.features.Text()),
      'audio': tfds.features.Tensor(shape=(None,), dtype=np.int16, encoding=as_bytes),
      'mel': tfds.features.Tensor(shape=(None, MEL_BANDS), dtype=np.float32, encoding=as_bytes),
      'phones': tfds.features.Tensor(shape=(None,), dtype=np.int8, encoding=as_bytes),
      'box': tfds.features.Tensor(shape=(None, 4), dtype=np.int32, encoding=as_bytes),
      **extra,
    }
  )


def phones_of(audio: np.ndarray) -> np.ndarray:
  """Recognises the `phones` of a record, (1 + S // 200,) int8, in its `audio`, (S,) int16 at 16 kHz."""
  return recognise_phones(audio.astype(np.float32) / 32768)


def make_record(
  clip_id: str,
  speaker: str,
  jpegs: Sequence[bytes],
  audio: np.ndarray,
  boxes: np.ndarray,
  phones: np.ndarray | None = None,
  **extra: Any,
) -> Record:
  """Returns the record of a clip.

  Args:
    clip_id: unique within the corpus.
    speaker: name of the speaker.
    jpegs: T square crops, from `encode_frame`.
    audio: (S,) int16, 16 kHz, starting with the first frame.
    boxes: (T, 4) float, where each crop was cut: left, top, right, bottom in pixels.
    phones: the true phones, as in `record_features`; recognised from the audio unless given.
    **extra: additional features of the corpus. A transcript is `text`, and `words`, a list of `Word`, where their times
      are known.

  Raises:
    ValueError: there are no frames, the number of boxes differs from that of the frames, or the audio is not int16.
  """
  if not jpegs or np.shape(boxes) != (len(jpegs), 4):
    raise ValueError(f'{clip_id}: {len(jpegs)} frames need as many boxes, but boxes has shape {np.shape(boxes)}')
  if audio.dtype != np.int16:
    raise ValueError(f'{clip_id}: the audio of a record must be int16, not {audio.dtype}')
  return {
    'id': clip_id,
    'speaker': speaker,
    'frames': list(jpegs),
    'audio': audio,
    'mel': mel_of(audio),
    'phones': phones_of(audio) if phones is None else phones,
    'box': np.rint(boxes).astype(np.int32),
    **extra,
  }


def part_of_record(record: Record, first: int, last: int, clip_id: str) -> Record:
  """Returns frames first..last-1 of a record as a record, with the mel spectrogram that they had in the whole.

  A transcript belongs to the whole: a part has the words that lie within it if their times are known, else none.

  Args:
    record: from `make_record`, without extras other than a transcript.
    first: index of the first frame, a multiple of 5: only there do a mel frame and a video frame start together.
    last: index after the last frame.
    clip_id: id of the new record.

  Raises:
    ValueError: `first` is not a multiple of 5.
  """
  if first * MEL_RATE % FRAME_RATE:
    raise ValueError(f'a part of a record must start at a multiple of 5 frames, not at frame {first}')
  # The mel spectrogram of a record has one row more than its frames span: row i is centred on sample 200 i.
  mel_first, mel_last = first * MEL_RATE // FRAME_RATE, -(-last * MEL_RATE // FRAME_RATE) + 1
  return {
    'id': clip_id,
    'speaker': record['speaker'],
    'frames': record['frames'][first:last],
    'audio': record['audio'][first * SAMPLES_PER_FRAME : last * SAMPLES_PER_FRAME],
    'mel': record['mel'][mel_first:mel_last],
    'phones': record['phones'][mel_first:mel_last],
    'box': record['box'][first:last],
    **_transcript_of_part(record, first, last),
  }


def words_between(words: Iterable[Word], start: float, end: float) -> list[Word]:
  """Returns the words that lie between two times in seconds to half a frame, with times from `start` on."""
  slack = 0.5 / FRAME_RATE
  inside = [word for word in words if word.start >= start - slack and word.end <= end + slack]
  return [Word(word.text, word.start - start, word.end - start) for word in inside]


def text_of(words: Iterable[Word]) -> str:
  return ' '.join(word.text for word in words)


def encode_frame(frame: np.ndarray) -> bytes:
  """Returns a square crop, (size, size, 3) uint8 RGB, coded as JPEG."""
  options = [
    cv2.IMWRITE_JPEG_QUALITY,
    JPEG_QUALITY,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
  ]
  return cv2.imencode('.jpg', frame[..., ::-1], options)[1].tobytes()


def decode_frames(jpegs: Sequence[bytes], indices: Iterable[int], size: int | None = None) -> np.ndarray:
  """Decodes some frames of a record.

  Args:
    jpegs: the record's `frames`.
    indices: the n frames to decode.
    size: side of the frames returned, in pixels; that of the record by default.

  Returns:
    (n, size, size, 3) uint8 RGB.

  Raises:
    ValueError: a frame is not a JPEG.
  """
  frames = [_decode(jpegs[index]) for index in indices]
  if size is not None and len(frames[0]) != size:
    how = cv2.INTER_AREA if size < len(frames[0]) else cv2.INTER_CUBIC
    frames = [cv2.resize(frame, (size, size), interpolation=how) for frame in frames]
  return np.stack(frames)


def name_array(record: Record) -> dict[str, np.ndarray]:
  """Returns the `id` that examples made of a record carry: (1,), in UTF-8."""
  return {'id': np.array([text(record['id']).encode()])}


def text(value: bytes | str) -> str:
  """Returns a text of a record as str; TFDS reads it as bytes."""
  return value.decode() if isinstance(value, bytes) else value


def _transcript_of_part(record: Record, first: int, last: int) -> dict[str, Any]:
  if 'text' not in record:
    return {}
  words = words_between(record.get('words', ()), first / FRAME_RATE, last / FRAME_RATE)
  whole = first == 0 and last == len(record['frames'])
  said = {'text': record['text'] if whole else text_of(words)}
  return said | {'words': words} if 'words' in record else said


def _decode(jpeg: bytes) -> np.ndarray:
  try:
    return simplejpeg.decode_jpeg(jpeg)  # the same pixels as OpenCV's in two thirds of the time
  except ValueError as error:
    raise ValueError('a frame of the record is not a JPEG: the dataset is damaged, build it again') from error
