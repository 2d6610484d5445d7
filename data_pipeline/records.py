"""The clip record: what every corpus stores, and every reader can rely on.

One record is one clip of one speaker: square face crops at 25 fps, JPEG-coded one by one so that a reader decodes the
few that its window needs, and 16 kHz speech that starts with the first frame.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import cv2
import numpy as np
import simplejpeg

from lpips_jax.audio.loudness import mel_of
from lpips_jax.audio.mel import MEL_BANDS, MEL_RATE
from lpips_jax.audio.phones import hear
from lpips_jax.core.constants import FRAME_RATE, SAMPLES_A_FRAME

JPEG_QUALITY = 95  # at 96 pixels about 6 kB a frame; lower shows in the mouth


def clip_features(**extra: Any) -> Any:
  """Returns the features of a record, with what a corpus adds to them; none of them needs TensorFlow.

  - `id`: text, unique within the corpus.
  - `speaker`: text.
  - `frames`: sequence of JPEG-coded RGB crops, bytes.
  - `audio`: (S,) int16, 16 kHz.
  - `mel`: (1 + S // 200, 80) float32, `lpips_jax.audio.loudness.mel_of` the audio: of speech brought to one level.
  - `phones`: (1 + S // 200,) int8, `lpips_jax.audio.phones.hear` of the audio, or what was truly said.
  - `box`: (T, 4) int32, left, top, right, bottom of each crop in the video it was cut from, rounded to pixels;
    of a head that tilts, before it was turned.
  """
  import tensorflow_datasets as tfds  # here: preparation makes records without it, in processes that start often

  as_bytes = tfds.features.Encoding.BYTES  # as lists of numbers they would take ten times as long to read
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
  """The `phones` of a record, (1 + S // 200,) int8, of its `audio`, (S,) int16, as a recogniser hears them."""
  return hear(audio.astype(np.float32) / 32768)


def make_record(
  clip_id: str,
  speaker: str,
  jpegs: Sequence[bytes],
  audio: np.ndarray,
  boxes: np.ndarray,
  phones: np.ndarray | None = None,
  **extra: Any,
) -> dict[str, Any]:
  """Returns the record of a clip.

  Args:
    clip_id: unique within the corpus.
    speaker: who speaks.
    jpegs: T square crops, from `encode_frame`.
    audio: (S,) int16, 16 kHz, starting with the first frame.
    boxes: (T, 4) float, where each crop was cut: left, top, right, bottom in pixels.
    phones: what is said, where that is known; see `clip_features`. Otherwise it is recognised.
    **extra: what the corpus adds.

  Raises:
    ValueError: there are no frames, or not one box for each, or the audio is not int16.
  """
  if not jpegs or np.shape(boxes) != (len(jpegs), 4):
    raise ValueError(f'{clip_id}: {len(jpegs)} frames need as many boxes, not an array of shape {np.shape(boxes)}')
  if audio.dtype != np.int16:
    raise ValueError(f'{clip_id}: the audio of a record is int16, not {audio.dtype}')
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


def part_of_record(record: dict[str, Any], first: int, last: int, clip_id: str) -> dict[str, Any]:
  """Returns frames first..last-1 of a record as a record, with the mel that they had in the whole.

  Args:
    record: from `make_record`, without extras.
    first: number of its first frame, a multiple of 5: only there does a mel frame begin with a video frame.
    last: number of the frame after its last.
    clip_id: what to call it.

  Raises:
    ValueError: the first frame is not such a multiple.
  """
  if first * MEL_RATE % FRAME_RATE:
    raise ValueError(f'a part of a record begins at a multiple of 5 frames, not at frame {first}')
  # A record's mel has a row more than its frames need: the one that is centred on the last sample.
  mel_first, mel_last = first * MEL_RATE // FRAME_RATE, -(-last * MEL_RATE // FRAME_RATE) + 1
  return {
    'id': clip_id,
    'speaker': record['speaker'],
    'frames': record['frames'][first:last],
    'audio': record['audio'][first * SAMPLES_A_FRAME : last * SAMPLES_A_FRAME],
    'mel': record['mel'][mel_first:mel_last],
    'phones': record['phones'][mel_first:mel_last],
    'box': record['box'][first:last],
  }


def encode_frame(frame: np.ndarray) -> bytes:
  """Codes a square crop, (size, size, 3) uint8 RGB, as JPEG."""
  options = [
    cv2.IMWRITE_JPEG_QUALITY,
    JPEG_QUALITY,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
  ]
  return cv2.imencode('.jpg', frame[..., ::-1], options)[1].tobytes()


def decode_frames(jpegs: Sequence[bytes], indices: Iterable[int], size: int | None = None) -> np.ndarray:
  """Returns the chosen frames of a record, (n, size, size, 3) uint8 RGB; only those are decoded.

  Args:
    jpegs: the record's `frames`.
    indices: which of them.
    size: side in pixels; that of the record by default.

  Raises:
    ValueError: a frame is not a JPEG.
  """
  frames = [_decode(jpegs[index]) for index in indices]
  if size is not None and len(frames[0]) != size:
    how = cv2.INTER_AREA if size < len(frames[0]) else cv2.INTER_CUBIC
    frames = [cv2.resize(frame, (size, size), interpolation=how) for frame in frames]
  return np.stack(frames)


def text(value: bytes | str) -> str:
  """Returns the text of a record, which TFDS gives as bytes."""
  return value.decode() if isinstance(value, bytes) else value


def _decode(jpeg: bytes) -> np.ndarray:
  try:
    return simplejpeg.decode_jpeg(jpeg)  # the same pixels as OpenCV's, a third sooner
  except ValueError as error:
    raise ValueError('a frame of the record is not a JPEG: the dataset is damaged, build it again') from error
