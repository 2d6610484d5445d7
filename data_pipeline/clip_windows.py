"""Training examples that are whole clips, for networks that read lips or listen to a sentence while they watch it."""

import dataclasses

import grain
import numpy as np

from data_pipeline.image_augment import NO_IMAGE_AUGMENTATION, ImageAugmentation, ImageChange
from data_pipeline.records import Record, decode_frames, name_array, text
from lpips_jax.audio.alphabets import TIMED, UNKNOWN, labels_of, timed_labels
from lpips_jax.audio.av_features import av_features
from lpips_jax.core.errors import UserError


@dataclasses.dataclass(frozen=True)
class ClipShape:
  """The arrays that a clip fills; what it leaves free is padding.

  Attributes:
    image_size: side of the frames in pixels.
    frames: T, the frames of a clip. Of a longer one a span is cut out.
    max_labels: L, the labels that a clip may have.
    alphabet: of `audio.alphabets.ALPHABETS`; '' gives no labels.
  """

  image_size: int
  frames: int
  max_labels: int
  alphabet: str

  def draw_span(self, record: Record, rng: np.random.Generator) -> tuple[int, int]:
    """Draws the first frame and the last + 1 of at most T frames of a record; a shorter one is taken whole.

    Raises:
      UserError: the record is longer, and nobody knows what is said in a part of it.
    """
    n_frames = len(record['frames'])
    if n_frames <= self.frames:
      return 0, n_frames
    if self.alphabet and self.alphabet not in TIMED:
      raise UserError(
        f'clip {text(record["id"])} has {n_frames} frames, and its {self.alphabet} have no times by which to cut it: '
        f'raise config.data.clip_frames={self.frames}'
      )
    first = int(rng.integers(n_frames - self.frames + 1))
    return first, first + self.frames

  def cut(self, record: Record, span: tuple[int, int], change: ImageChange) -> dict[str, np.ndarray]:
    """Returns the arrays of `ClipWindows`, without a first axis, of the frames first..last-1 of a record.

    Raises:
      UserError: the corpus does not know what is said in that alphabet.
      ValueError: this record has no transcript, or more labels than L or than its frames can be given: in training
        another one takes its place.
    """
    first, last = span
    length = last - first
    frames = np.zeros((self.frames, self.image_size, self.image_size, 3), np.uint8)
    frames[:length] = change(decode_frames(record['frames'], range(first, last), self.image_size))
    # Of the whole clip, so that a span sounds to the last digit as it does within the clip.
    sound = av_features(record['audio'], len(record['frames']))[first:last]
    labels, of_frames = self._labels(record, first, last)
    repeated = np.count_nonzero(labels[1:] == labels[:-1])  # CTC writes a blank between equal labels
    if len(labels) > self.max_labels or len(labels) + repeated > length:
      raise ValueError(
        f'{len(labels)} {self.alphabet} are said in {length} frames: more than config.data.max_labels='
        f'{self.max_labels}, or than can be written'
      )
    return {
      'frames': frames,
      'sound': np.pad(sound, ((0, self.frames - length), (0, 0))),
      'length': np.array(length, np.int32),
      'labels': np.pad(labels, (0, self.max_labels - len(labels))),
      'frame_labels': np.pad(of_frames, (0, self.frames - length), constant_values=UNKNOWN),
    }

  def _labels(self, record: Record, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the labels said in some frames, (l,) int32, and that of each frame, (last - first,) int32."""
    unknown = np.full(last - first, UNKNOWN, np.int32)
    if not self.alphabet:
      return np.zeros(0, np.int32), unknown
    if self.alphabet in TIMED:
      timed = timed_labels(self.alphabet, record.get('sounds'), record.get('sound_ends'), record['phones'])
      return timed.between(first, last), timed.at_frames(last)[first:]
    if 'text' not in record:
      raise UserError(
        f'clip {text(record["id"])} has no transcript, which {self.alphabet} are made of: prepare and build the corpus '
        'again, or set config.data.alphabet=visemes'
      )
    labels = labels_of(self.alphabet, text=record['text'])
    if not len(labels):
      raise ValueError('its transcript is empty')
    return labels, unknown


@dataclasses.dataclass(frozen=True)
class ClipWindows(grain.transforms.RandomMap):
  """A random transform that makes an example of one clip, for lip readers and audio-visual experts.

  `random_map` returns a dict of

  - `frames`: (1, T, h, w, 3) uint8 RGB, black past the end;
  - `sound`: (1, T, 104) float32, `lpips_jax.audio.av_features.av_features`, zeros past the end;
  - `length`: (1,) int32, the frames that are real;
  - `labels`: (1, L) int32, what is said, indices into the alphabet; 0 past the end;
  - `frame_labels`: (1, T) int32, the label of each frame: 0 in silence, -1 past the end and where it is unknown, as it
    is of characters and without an alphabet;
  - `id`: (1,), the id of the clip in UTF-8.

  Of a clip of more than T frames a random span is cut, with the labels whose middle lies in it.

  Attributes:
    image_size: side of the frames in pixels.
    clip_frames: T.
    max_labels: L.
    alphabet: of `audio.alphabets.ALPHABETS`; '' gives no labels.
    image_augmentation: changes to the frames, one for the whole clip.
  """

  image_size: int
  clip_frames: int
  max_labels: int
  alphabet: str
  image_augmentation: ImageAugmentation = NO_IMAGE_AUGMENTATION

  def random_map(self, record: Record, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Returns the example; raises as `ClipShape.draw_span` and `ClipShape.cut` do."""
    shape = ClipShape(self.image_size, self.clip_frames, self.max_labels, self.alphabet)
    arrays = shape.cut(record, shape.draw_span(record, rng), self.image_augmentation.draw(rng))
    return {name: array[None] for name, array in arrays.items()} | name_array(record)
