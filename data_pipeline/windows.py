"""Training examples: windows of frames and speech, cut out of a clip record.

The sync window is five consecutive frames and the 16 mel frames of the same 0.2 s: `window_frames` and `window_speech`
cut it out of a record from its first frame on. A sync expert compares the two; a generator makes the five frames.

`GeneratorWindows` and `ExpertWindows` draw windows with a random generator that Grain seeds by epoch and position, so
an example depends on the seed alone.
"""

import dataclasses
from zlib import crc32

import grain
import numpy as np

from data_pipeline.audio_augment import NO_AUDIO_AUGMENTATION, AudioAugmentation
from data_pipeline.clip_windows import ClipShape
from data_pipeline.image_augment import NO_IMAGE_AUGMENTATION, ImageAugmentation, ImageChange
from data_pipeline.records import Record, decode_frames, name_array, text
from lpips_jax.audio.condition import CONDITIONS, phones_for, silence
from lpips_jax.audio.mel import FLOOR_DB, SpeechFeatures, mel_windows
from lpips_jax.audio.phones import PHONES
from lpips_jax.core.constants import FRAME_RATE, MEL_MAX, MEL_RATE, MEL_WINDOW, WINDOW_FRAMES
from lpips_jax.core.errors import UserError
from lpips_jax.faces.references import references_for, shut_frames

LOUD_PERCENTILE = 90  # of the levels of a clip: its loud parts
QUIET_DB = 20.0  # below the loud parts nobody speaks
QUIET_MARGIN_STEPS = 4  # mel frames around a window that must be silent, too: lips open before they are heard


def window_frames(record: Record, start: int, image_size: int | None = None) -> np.ndarray:
  """Decodes the frames of the sync window that begins at frame `start`.

  Args:
    record: see `data_pipeline.records`.
    start: index of the first frame.
    image_size: side of the frames in pixels; that of the record by default.

  Returns:
    (5, h, w, 3) uint8 RGB.
  """
  return decode_frames(record['frames'], range(start, start + WINDOW_FRAMES), image_size)


def window_speech(speech: SpeechFeatures, start: int) -> np.ndarray:
  """Returns the speech of the sync window that begins at frame `start`.

  Args:
    speech: (M, 80), the mel spectrogram or a track of a record.
    start: index of the first frame.

  Returns:
    (80, 16) float32: the 16 mel frames from floor(start * 80 / 25) on; see `lpips_jax.audio.mel.mel_windows`.
  """
  return mel_windows(speech, FRAME_RATE, 1, lead=-start)[0]


@dataclasses.dataclass(frozen=True)
class GeneratorWindows(grain.transforms.RandomMap):
  """A random transform that draws examples for a generator from one clip.

  Each of the k examples has five consecutive frames to generate (the target), five reference frames of the same clip,
  and the speech of the target. `random_map` returns a dict of

  - `target` and `reference`: (k, 5, h, w, 3) uint8 RGB;
  - `mel`: (k, 5, 80, steps), the generator's input: for each frame, one window of the mel spectrogram or of the phones;
  - `window_mel` and `window_phones`: (k, 80, 16), the speech of the sync window, for experts of either kind;
  - `id`: (1,), the id of the clip in UTF-8;

  with `with_mel`, of

  - `heard_mel`: (k, 5, 80, steps), for each frame one window of the mel spectrogram, whatever `mel` is;

  with `gestures`, g, of

  - `gestures`: (k, 5, g) float32, the shape of the mouth in each frame of the target, as the corpus knows it;

  and with `clip_frames`, which is T then, of the clip around the targets, as `ClipWindows` has it:

  - `clip_frames`: (1, T, h, w, 3), `clip_sound`: (1, T, 104), `clip_length`: (1,) and `clip_labels`: (1, L);
  - `clip_start`: (k,) int32, the first frame of each target in `clip_frames`.

  The frames of the clip and all windows are changed alike then, and targets share no frame where the clip has room.

  Attributes:
    image_size: side of the frames in pixels.
    lead: frames by which a window of `mel` of 16 steps starts before its frame; see `audio.mel.mel_windows`.
    windows: k, the number of examples drawn each time a clip is read.
    image_augmentation: changes to the frames, alike for target and reference.
    silence: probability of a target in a pause, where the clip has one. Its speech is replaced by digital silence, so
      that the generator learns to keep a mouth shut.
    speech: the generator's input: a key of `audio.condition.CONDITIONS`.
    misheard: probability that a phone is replaced by a random one, as a recogniser might do; not for 'mel'.
    reference: 'elsewhere', five consecutive frames outside the target, as in Wav2Lip; or 'rest', a frame with the mouth
      nearly shut, brought to the pose of each frame of the target, as in dubbing.
    audio_augmentation: changes to `mel` if it is a mel spectrogram; the sync expert's speech stays as it is.
    clip_frames, max_labels, alphabet: as in `ClipWindows`; 0 frames leave the clip out.
    with_mel: adds `heard_mel`.
    gestures: g, how many numbers describe the shape of a mouth in this corpus; 0 leaves them out.
    window_length: steps of 12.5 ms in a window of `mel` and `heard_mel`.
  """

  image_size: int
  lead: float
  windows: int = 1
  image_augmentation: ImageAugmentation = NO_IMAGE_AUGMENTATION
  silence: float = 0.0
  speech: str = 'mel'
  misheard: float = 0.0
  reference: str = 'elsewhere'
  audio_augmentation: AudioAugmentation = NO_AUDIO_AUGMENTATION
  clip_frames: int = 0
  max_labels: int = 0
  alphabet: str = ''
  with_mel: bool = False
  gestures: int = 0
  window_length: int = MEL_WINDOW

  def random_map(self, record: Record, rng: np.random.Generator) -> dict[str, np.ndarray]:
    if self.clip_frames:
      return self._in_their_clip(record, rng)
    examples = [self._example(record, rng) for _ in range(self.windows)]
    return {name: np.stack([example[name] for example in examples]) for name in examples[0]} | name_array(record)

  def _example(self, record: Record, rng: np.random.Generator) -> dict[str, np.ndarray]:
    start, elsewhere = draw_starts(record, rng)
    silent = silent_starts(record) if self.silence and rng.random() < self.silence else ()
    if len(silent):
      start = int(rng.choice(silent))
      elsewhere = _start_elsewhere(start, last_start(record), rng)
    return self._window(record, start, elsewhere, len(silent) > 0, None, rng)

  def _in_their_clip(self, record: Record, rng: np.random.Generator) -> dict[str, np.ndarray]:
    shape = ClipShape(self.image_size, self.clip_frames, self.max_labels, self.alphabet)
    first, last = shape.draw_span(record, rng)
    change = self.image_augmentation.draw(rng)
    examples, starts = [], self._starts_between(record, first, last, rng)
    for start, silent in starts:
      elsewhere = _start_elsewhere(start, last_start(record), rng)
      examples.append(self._window(record, start, elsewhere, silent, change, rng))
    clip = shape.cut(record, (first, last), change)
    return (
      {name: np.stack([example[name] for example in examples]) for name in examples[0]}
      | {f'clip_{name}': clip[name][None] for name in ('frames', 'sound', 'length', 'labels')}
      | {'clip_start': np.array([start - first for start, _ in starts], np.int32)}
      | name_array(record)
    )

  def _starts_between(self, record: Record, first: int, last: int, rng: np.random.Generator) -> list[tuple[int, bool]]:
    """Draws first frames of targets within a span of a clip, and whether they are silenced."""
    final = min(last, last_start(record) + WINDOW_FRAMES) - WINDOW_FRAMES - first  # raises if the clip is too short
    starts = first + _spread_starts(final, self.windows, WINDOW_FRAMES, rng)
    quiet = silent_starts(record) if self.silence else np.zeros(0, int)
    quiet = quiet[(quiet >= first) & (quiet <= first + final)]
    silenced = np.zeros(self.windows, bool)
    for k in np.flatnonzero(rng.random(self.windows) < self.silence) if self.silence else ():
      others = np.delete(starts, k)
      free = quiet[(np.abs(quiet[:, None] - others) >= WINDOW_FRAMES).all(1)]
      if len(free):
        starts[k], silenced[k] = rng.choice(free), True
    return [(int(start), bool(silent)) for start, silent in zip(starts, silenced, strict=True)]

  def _window(
    self,
    record: Record,
    start: int,
    elsewhere: int,
    silent: bool,
    change: ImageChange | None,
    rng: np.random.Generator,
  ) -> dict[str, np.ndarray]:
    """Makes the example of the target at `start`; unless a change to its frames is given, one is drawn."""
    target, reference = self._frames(record, start, elsewhere, rng)
    change = change or self.image_augmentation.draw(rng)
    heard = self._windows_of(self._heard(record, silent, rng), start)
    example = {
      'target': change(target),
      'reference': change(reference),
      'mel': self.audio_augmentation(heard, rng) if self.speech == 'mel' and not silent else heard,
      'window_mel': window_speech(_silenced(record['mel'], silent), start),
      'window_phones': window_speech(_track_of('phones', record, silent), start),
    }
    if self.with_mel:
      example['heard_mel'] = self._windows_of(_silenced(record['mel'], silent), start)
    if self.gestures:
      example['gestures'] = _gestures_of(record, self.gestures)[start : start + WINDOW_FRAMES]
    return example

  def _windows_of(self, speech: SpeechFeatures, start: int) -> np.ndarray:
    return mel_windows(speech, FRAME_RATE, WINDOW_FRAMES, self.lead - start, self.window_length)

  def _frames(
    self, record: Record, start: int, elsewhere: int, rng: np.random.Generator
  ) -> tuple[np.ndarray, np.ndarray]:
    target = window_frames(record, start, self.image_size)
    if self.reference == 'elsewhere':
      return target, window_frames(record, elsewhere, self.image_size)
    shut = rng.choice(_shut_frames_of(record, self.image_size))
    return target, references_for(target, decode_frames(record['frames'], [shut], self.image_size)[0])

  def _heard(self, record: Record, silent: bool, rng: np.random.Generator) -> SpeechFeatures:
    if self.speech == 'mel':
      return _silenced(record['mel'], silent)
    return _track_of(self.speech, record, silent, self.misheard, rng)


@dataclasses.dataclass(frozen=True)
class ExpertWindows(grain.transforms.RandomMap):
  """A random transform that draws one example for a sync expert: k sync windows of one clip.

  The speech of each window is in sync with its own frames and off sync with those of the others. `random_map` returns a
  dict of

  - `frames`: (1, k, 5, h, w, 3) uint8 RGB;
  - `mel`: (1, k, 80, 16), the speech of each window, of the mel spectrogram or phones;
  - `start`: (1, k) int32, the first frame of each window;
  - `id`: (1,), the id of the clip in UTF-8.

  Attributes:
    windows: k.
    minimum_offset: frames between the starts of two windows, at least; in a clip too short for that they may be closer.
    image_size, image_augmentation, audio_augmentation, speech, misheard: as in `GeneratorWindows`.
  """

  image_size: int
  windows: int
  minimum_offset: int
  image_augmentation: ImageAugmentation = NO_IMAGE_AUGMENTATION
  audio_augmentation: AudioAugmentation = NO_AUDIO_AUGMENTATION
  speech: str = 'mel'
  misheard: float = 0.0

  def random_map(self, record: Record, rng: np.random.Generator) -> dict[str, np.ndarray]:
    starts = _spread_starts(last_start(record), self.windows, self.minimum_offset, rng)
    change = self.image_augmentation.draw(rng)
    heard = record['mel'] if self.speech == 'mel' else _track_of(self.speech, record, False, self.misheard, rng)
    speech = np.stack([window_speech(heard, int(start)) for start in starts])
    return {
      'frames': np.stack([change(window_frames(record, start, self.image_size)) for start in starts])[None],
      'mel': (self.audio_augmentation(speech, rng) if self.speech == 'mel' else speech)[None],
      'start': starts.astype(np.int32)[None],
    } | name_array(record)


def draw_starts(record: Record, rng: np.random.Generator) -> tuple[int, int]:
  """Draws the first frames of a target and of a reference; they share no frame if the clip is long enough."""
  last = last_start(record)
  start = int(rng.integers(last + 1))
  return start, _start_elsewhere(start, last, rng)


def silent_starts(record: Record) -> np.ndarray:
  """Returns the first frames, rising, of all windows of a clip during which nobody speaks; there may be none."""
  mel, last = record['mel'], last_start(record)
  level = mel.mean(axis=1) * -FLOOR_DB / (2 * MEL_MAX)  # dB
  loud = level > np.percentile(level, LOUD_PERCENTILE) - QUIET_DB
  loud_before = np.concatenate([[0], np.cumsum(loud)])  # number of loud mel frames before each
  starts = np.arange(last + 1)
  first = starts * MEL_RATE // FRAME_RATE
  begin = np.clip(first - QUIET_MARGIN_STEPS, 0, len(mel))
  end = np.clip(first + MEL_WINDOW + QUIET_MARGIN_STEPS, 0, len(mel))
  return starts[loud_before[end] == loud_before[begin]]


def _track_of(
  speech: str, record: Record, silent: bool, misheard: float = 0.0, rng: np.random.Generator | None = None
) -> SpeechFeatures:
  """Returns what is made of the phones of a record, (M, 80), or silence; with `rng`, some phones are misheard."""
  if silent:
    return silence(speech, len(record['mel']))
  phones = phones_for(speech, record['phones'], record.get('sounds'), record.get('sound_ends'))
  heard = phones if rng is None else _misheard(phones, misheard, rng)
  return CONDITIONS[speech].track(heard, record['mel'])


def _gestures_of(record: Record, numbers: int) -> np.ndarray:
  """Returns the shape of the mouth in each frame; raises UserError where a corpus does not know it, or knows other."""
  if 'gestures' not in record:
    raise UserError(
      f'clip {text(record["id"])} has no gestures of the mouth, as talking_faces has: set config.losses.landmarks=0'
    )
  gestures = record['gestures']
  if gestures.shape[1] != numbers:
    raise UserError(f'{gestures.shape[1]} numbers describe a mouth in this corpus: set config.model.landmarks to that')
  return gestures


def _silenced(mel: np.ndarray, silent: bool) -> np.ndarray:
  return np.full_like(mel, -MEL_MAX) if silent else mel


def _misheard(heard: np.ndarray, probability: float, rng: np.random.Generator) -> np.ndarray:
  """Replaces some of the phones, each from its beginning to its end, by random ones."""
  if not probability:
    return heard
  edges = np.flatnonzero(np.diff(heard, prepend=-1))
  wrong = rng.random(len(edges)) < probability
  phones = np.where(wrong, rng.integers(len(PHONES), size=len(edges)), heard[edges])
  return np.repeat(phones, np.diff(edges, append=len(heard)))


_shut_frames: dict[tuple[str, int, int, int], np.ndarray] = {}  # by clip and size


def _shut_frames_of(record: Record, image_size: int) -> np.ndarray:
  """Returns the frames of a clip whose mouth is shut. They are cached: finding them takes longer than an example."""
  jpegs = record['frames']
  clip = text(record['id']), len(jpegs), crc32(jpegs[0]), image_size
  if clip not in _shut_frames:
    _shut_frames[clip] = shut_frames(decode_frames(jpegs, range(len(jpegs)), image_size))
  return _shut_frames[clip]


def last_start(record: Record) -> int:
  """Returns the first frame of the last window of a clip; raises ValueError if the clip is too short for a window."""
  last = len(record['frames']) - WINDOW_FRAMES
  if last < 0:
    raise ValueError(f'clip {record["id"]} has fewer than {WINDOW_FRAMES} frames: leave it out of the corpus')
  return last


def _start_elsewhere(start: int, last: int, rng: np.random.Generator) -> int:
  """Draws a window that shares no frame with the one at `start`; in a short clip, returns the one farthest from it."""
  choices = np.concatenate([np.arange(start - WINDOW_FRAMES + 1), np.arange(start + WINDOW_FRAMES, last + 1)])
  if len(choices):
    return int(rng.choice(choices))
  return 0 if start > last / 2 else last


def _spread_starts(last: int, windows: int, gap: int, rng: np.random.Generator) -> np.ndarray:
  """Draws sorted starts at least `gap` apart; in clips too short for that, any (the loss leaves out close pairs)."""
  free = last + 1 - (windows - 1) * (gap - 1)
  if free >= windows:
    return np.sort(rng.choice(free, windows, replace=False)) + (gap - 1) * np.arange(windows)
  return np.sort(rng.integers(last + 1, size=windows))
