"""What one training example is: the windows that are picked from a clip record.

Both pick with a random generator that Grain seeds by epoch and position, so an example depends on the seed alone.
"""

import dataclasses
from zlib import crc32

import grain
import numpy as np

from data_pipeline.audio_augment import AS_SPOKEN, AudioAugmentation
from data_pipeline.image_augment import AS_IT_IS, Augmentation
from data_pipeline.records import decode_frames, text
from lpips_jax.audio.mel import FLOOR_DB, MAX_VALUE, MEL_RATE, WINDOW, mel_windows
from lpips_jax.audio.phones import PHONES, phone_track, silent_track
from lpips_jax.core.constants import FRAME_RATE, WINDOW_FRAMES
from lpips_jax.faces.rest import references_for, shut_frames

QUIET_DB = 20.0  # below the loud parts of a clip: there nobody speaks
LOUD = 90  # percentile of the levels in a clip
QUIET_MARGIN = 4  # mel frames around a window that must be quiet, too: lips open before they are heard


@dataclasses.dataclass(frozen=True)
class GeneratorWindows(grain.transforms.RandomMap):
  """Windows of one clip: five consecutive frames to generate, five of the clip to refer to, and their speech.

  Returns k examples: `target` and `reference` (k, 5, h, w, 3) uint8, `mel` (k, 5, 80, 16) with one window a frame, or
  of phones, and `window_mel` and `window_phones` (k, 80, 16), one of all five, for experts of either kind; and `id`
  (1,), the clip's name in UTF-8.

  Attributes:
    image_size: side of the frames in pixels.
    lead: see `audio.mel.mel_windows`.
    windows: k, how many of each clip that is read.
    augmentation: how the frames may change.
    silence: probability of a target during which nobody speaks, where the clip has one; its speech is then replaced by
      digital silence, so that the generator learns to keep a mouth shut.
    speech: what the generator hears: 'mel' or 'phones'.
    misheard: probability that a phone is taken for another, as a recogniser does; of phones alone.
    reference: 'elsewhere', five frames in a row that are not the target's, as Wav2Lip trains; or 'rest', a frame in
      which the mouth is nearly shut, in the pose of each frame of the target, as dubbing gives it.
    voices: how the speech may change that the generator hears as a mel; the sync expert hears it as it was said.
  """

  image_size: int
  lead: float
  windows: int = 1
  augmentation: Augmentation = AS_IT_IS
  silence: float = 0.0
  speech: str = 'mel'
  misheard: float = 0.0
  reference: str = 'elsewhere'
  voices: AudioAugmentation = AS_SPOKEN

  def random_map(self, record: dict, rng: np.random.Generator) -> dict[str, np.ndarray]:
    examples = [self._example(record, rng) for _ in range(self.windows)]
    return {name: np.stack([example[name] for example in examples]) for name in examples[0]} | _name(record)

  def _example(self, record: dict, rng: np.random.Generator) -> dict[str, np.ndarray]:
    start, elsewhere = draw_starts(record, rng)
    silent = silent_starts(record) if self.silence and rng.random() < self.silence else ()
    if len(silent):
      start = int(rng.choice(silent))
      elsewhere = _start_elsewhere(start, last_start(record), rng)
    target, reference = self._frames(record, start, elsewhere, rng)
    change = self.augmentation.draw(rng)
    heard = mel_windows(self._heard(record, len(silent) > 0, rng), FRAME_RATE, WINDOW_FRAMES, lead=self.lead - start)
    return {
      'target': change(target),
      'reference': change(reference),
      'mel': self.voices(heard, rng) if self.speech == 'mel' and not len(silent) else heard,
      'window_mel': _window(_silenced(record['mel'], len(silent) > 0), start),
      'window_phones': _window(_phones_of(record, len(silent) > 0), start),
    }

  def _frames(
    self, record: dict, start: int, elsewhere: int, rng: np.random.Generator
  ) -> tuple[np.ndarray, np.ndarray]:
    target = window_frames(record, start, self.image_size)
    if self.reference == 'elsewhere':
      return target, window_frames(record, elsewhere, self.image_size)
    shut = rng.choice(_shut_frames_of(record, self.image_size))
    return target, references_for(target, decode_frames(record['frames'], [shut], self.image_size)[0])

  def _heard(self, record: dict, silent: bool, rng: np.random.Generator) -> np.ndarray:
    if self.speech == 'mel':
      return _silenced(record['mel'], silent)
    return _phones_of(record, silent, self.misheard, rng)


@dataclasses.dataclass(frozen=True)
class ExpertWindows(grain.transforms.RandomMap):
  """Several windows of one clip, each five frames and their speech; each is off sync with the others' speech.

  Returns one example: `frames` (1, k, 5, h, w, 3) uint8, `mel` (1, k, 80, 16), or of phones, and `start` (1, k) int32,
  the first frame of each; and `id` (1,), the clip's name in UTF-8. Attributes are those of `GeneratorWindows`.
  """

  image_size: int
  windows: int
  minimum_offset: int
  augmentation: Augmentation = AS_IT_IS
  voices: AudioAugmentation = AS_SPOKEN
  speech: str = 'mel'
  misheard: float = 0.0

  def random_map(self, record: dict, rng: np.random.Generator) -> dict[str, np.ndarray]:
    starts = _spread_starts(last_start(record), self.windows, self.minimum_offset, rng)
    change = self.augmentation.draw(rng)
    heard = record['mel'] if self.speech == 'mel' else _phones_of(record, False, self.misheard, rng)
    speech = np.stack([_window(heard, int(start)) for start in starts])
    return {
      'frames': np.stack([change(window_frames(record, start, self.image_size)) for start in starts])[None],
      'mel': (self.voices(speech, rng) if self.speech == 'mel' else speech)[None],
      'start': starts.astype(np.int32)[None],
    } | _name(record)


def draw_starts(record: dict, rng: np.random.Generator) -> tuple[int, int]:
  """Draws the first frames of a target and of a reference that, if the clip is long enough, shares none with it."""
  last = last_start(record)
  start = int(rng.integers(last + 1))
  return start, _start_elsewhere(start, last, rng)


def silent_starts(record: dict) -> np.ndarray:
  """Returns the first frames of the windows of a clip during which nobody speaks: rising, perhaps none."""
  mel, last = record['mel'], last_start(record)
  level = mel.mean(axis=1) * -FLOOR_DB / (2 * MAX_VALUE)  # dB
  loud = level > np.percentile(level, LOUD) - QUIET_DB
  loud_before = np.concatenate([[0], np.cumsum(loud)])  # how many loud rows there are before each
  starts = np.arange(last + 1)
  first = starts * MEL_RATE // FRAME_RATE
  begin = np.clip(first - QUIET_MARGIN, 0, len(mel))
  end = np.clip(first + WINDOW + QUIET_MARGIN, 0, len(mel))
  return starts[loud_before[end] == loud_before[begin]]


def window_frames(record: dict, start: int, image_size: int | None = None) -> np.ndarray:
  """Five consecutive frames from `start`, (5, h, w, 3) uint8, of that size or their own; only these are decoded."""
  return decode_frames(record['frames'], range(start, start + WINDOW_FRAMES), image_size)


def _window(heard: np.ndarray, start: int) -> np.ndarray:
  """Cuts out the speech of the five frames from `start`: (m, 80) -> (80, 16)."""
  return mel_windows(heard, FRAME_RATE, 1, lead=-start)[0]


def _phones_of(record: dict, silent: bool, misheard: float = 0.0, rng: np.random.Generator | None = None) -> np.ndarray:
  """Returns the phone track of a record, (m, 80): that of silence, or with some of its phones taken for others."""
  if silent:
    return silent_track(len(record['mel']))
  return phone_track(_misheard(record['phones'], misheard, rng), record['mel'])


def _silenced(mel: np.ndarray, silent: bool) -> np.ndarray:
  return np.full_like(mel, -MAX_VALUE) if silent else mel


def _misheard(heard: np.ndarray, probability: float, rng: np.random.Generator | None) -> np.ndarray:
  """Takes some of the phones, each from its beginning to its end, for any others."""
  if not probability:
    return heard
  edges = np.flatnonzero(np.diff(heard, prepend=-1))
  wrong = rng.random(len(edges)) < probability
  phones = np.where(wrong, rng.integers(len(PHONES), size=len(edges)), heard[edges])
  return np.repeat(phones, np.diff(edges, append=len(heard)))


_SHUT: dict[tuple[str, int, int, int], np.ndarray] = {}


def _shut_frames_of(record: dict, image_size: int) -> np.ndarray:
  """Returns the `rest.shut_frames` of a clip, and remembers them: finding them takes longer than making an example."""
  jpegs = record['frames']
  clip = text(record['id']), len(jpegs), crc32(jpegs[0]), image_size
  if clip not in _SHUT:
    _SHUT[clip] = shut_frames(decode_frames(jpegs, range(len(jpegs)), image_size))
  return _SHUT[clip]


def _name(record: dict) -> dict[str, np.ndarray]:
  return {'id': np.array([text(record['id']).encode()])}


def last_start(record: dict) -> int:
  """The first frame of the last window of a clip; raises ValueError if it is too short for any."""
  last = len(record['frames']) - WINDOW_FRAMES
  if last < 0:
    raise ValueError(f'clip {record["id"]} has fewer than {WINDOW_FRAMES} frames: leave it out of the corpus')
  return last


def _start_elsewhere(start: int, last: int, rng: np.random.Generator) -> int:
  """A window that shares no frame with the one at `start`, or in a short clip the one farthest from it."""
  choices = np.concatenate([np.arange(start - WINDOW_FRAMES + 1), np.arange(start + WINDOW_FRAMES, last + 1)])
  if len(choices):
    return int(rng.choice(choices))
  return 0 if start > last / 2 else last


def _spread_starts(last: int, windows: int, gap: int, rng: np.random.Generator) -> np.ndarray:
  """Sorted starts at least `gap` apart; in clips too short for that, anywhere (the loss leaves out close pairs)."""
  free = last + 1 - (windows - 1) * (gap - 1)
  if free >= windows:
    return np.sort(rng.choice(free, windows, replace=False)) + (gap - 1) * np.arange(windows)
  return np.sort(rng.integers(last + 1, size=windows))
