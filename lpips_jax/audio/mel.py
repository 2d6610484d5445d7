"""The one mel spectrogram of the project, and the one rule that gives a video frame its window of it.

Preprocessing, training, evaluation and dubbing all call these two functions, so that no two of them can disagree
by a frame. The numbers are Wav2Lip's, so that its released weights see the input they were trained on.
"""

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cache
from typing import Protocol

import numpy as np

from lpips_jax.audio.chunks import ChunkedSound, Sound, in_chunks

SAMPLE_RATE = 16_000  # Hz
FFT_SIZE = 800  # samples, 50 ms; also the length of the Hann window
HOP = 200  # samples, so that there are 80 mel frames a second
MEL_RATE = SAMPLE_RATE // HOP
MEL_BANDS = 80
WINDOW = 16  # mel frames: 0.2 s, five video frames at 25 fps
LOWEST, HIGHEST = 55, 7600  # Hz, of the bands
KNEE, MEL_HERTZ, LOG_STEP = 1000.0, 200 / 3, math.log(6.4) / 27  # of Slaney's scale: Hz, Hz a mel, and a mel above
PREEMPHASIS = 0.97
MIN_MAGNITUDE = 1e-5
REFERENCE_DB = 20.0
FLOOR_DB = -100.0
MAX_VALUE = 4.0
BLOCK = 2048  # mel frames transformed at once


class Rows(Protocol):
  """A spectrogram, or what is laid out like one: an array, or what gives the same slices."""

  def __len__(self) -> int: ...

  def __getitem__(self, part: slice) -> np.ndarray: ...


def melspectrogram(samples: np.ndarray) -> np.ndarray:
  """Returns the log-mel spectrogram of 16 kHz speech.

  Args:
    samples: (S,) float in [-1, 1], at 16 kHz, S >= 1.

  Returns:
    (1 + S // 200, 80) float32 in [-4, 4]; row i is centred on sample 200 i. Digital silence is -4 everywhere.

  Raises:
    ValueError: there are no samples, or they are not one channel.

  Magnitudes (not powers) through 80 Slaney bands between 55 and 7600 Hz, as in Wav2Lip.
  """
  samples = np.asarray(samples, np.float32)
  if samples.ndim != 1 or samples.size == 0:
    raise ValueError(f'speech must be a non-empty, one-channel array of samples, not one of shape {samples.shape}')
  return np.concatenate(list(_mel_blocks(samples)))


def chunked_mel(sound: Sound) -> ChunkedSound:
  """Returns the same spectrogram, to the bit, which is made as it is read: one of hours takes no more memory."""
  return ChunkedSound(lambda: _mel_blocks(sound), 1 + len(sound) // HOP)


def mel_windows(mel: Rows, frame_rate: Fraction | float, n_frames: int, lead: float = 0) -> np.ndarray:
  """Returns the window of speech that belongs to each video frame.

  The window of frame k starts at mel frame floor(80 (k - lead) / frame_rate): with no lead it spans the five frames
  from k on (at 25 fps), as the sync expert wants it; with a lead of two it is centred on the frame. The first and the
  last mel frame are repeated past the ends, so every video frame has a window.

  Args:
    mel: (M, 80), from `melspectrogram` or `chunked_mel`, M >= 1; or `audio.phones.phone_track`.
    frame_rate: video frames a second; a Fraction keeps 30000/1001 exact.
    n_frames: how many video frames there are, from the start of the sound.
    lead: by how many video frames the window starts before its frame.

  Returns:
    (n_frames, 80, 16) float32.

  Raises:
    ValueError: the spectrogram is empty or does not have 80 bands.
  """
  # In whole numbers, which are exact, and quicker than fractions: floor((k - lead) * steps / frames).
  lead, per_frame = Fraction(lead), MEL_RATE / Fraction(frame_rate)
  steps, frames = per_frame.numerator, per_frame.denominator * lead.denominator
  return _windows_from(mel, [(k * lead.denominator - lead.numerator) * steps // frames for k in range(n_frames)])


def mel_windows_at(mel: Rows, starts: Sequence[Fraction]) -> np.ndarray:
  """Returns windows of speech, each of 0.2 s, from mel frame floor(80 start) on.

  Args:
    mel: as `mel_windows` has it; of what is pieced, the earliest start should rise from one call to the next.
    starts: n times in seconds from the start of the sound, exactly; past its ends the last mel frame is repeated.

  Returns:
    (n, 80, 16) float32.

  Raises:
    ValueError: the spectrogram is empty or does not have 80 bands.
  """
  return _windows_from(mel, [start.numerator * MEL_RATE // start.denominator for start in starts])


def _windows_from(mel: Rows, first: Sequence[int]) -> np.ndarray:
  index = np.clip(np.array(first, np.int64)[:, None] + np.arange(WINDOW), 0, len(mel) - 1)
  low, high = (index.min(), index.max() + 1) if index.size else (0, 1)
  rows = np.asarray(mel[low:high], np.float32)
  if rows.ndim != 2 or rows.shape[0] == 0 or rows.shape[1] != MEL_BANDS:
    raise ValueError(f'a mel spectrogram has shape (frames >= 1, {MEL_BANDS}), not {(len(mel), *rows.shape[1:])}')
  return rows[index - low].transpose(0, 2, 1)


def _mel_blocks(sound: Sound) -> Iterator[np.ndarray]:
  """Yields the spectrogram in blocks of `BLOCK` rows, (n, 80), the same ones however the sound comes in pieces."""
  rows, block = 1 + len(sound) // HOP, (BLOCK - 1) * HOP + FFT_SIZE
  held = np.zeros(0, np.float32)
  for piece in _padded(sound):
    held = np.append(held, piece)
    while len(held) >= block and rows >= BLOCK:
      yield _mel(held[:block])
      held, rows = held[BLOCK * HOP :], rows - BLOCK
  if rows:
    yield _mel(held[: (rows - 1) * HOP + FFT_SIZE])


def _padded(sound: Sound) -> Iterator[np.ndarray]:
  """Yields sound with its high frequencies emphasised, reflected by half a Fourier window at both ends."""
  before, end, half = np.zeros(1, np.float32), np.zeros(0, np.float32), FFT_SIZE // 2
  for piece in in_chunks(sound, BLOCK * HOP):
    emphasised = piece - PREEMPHASIS * np.append(before, piece[:-1])
    before = piece[-1:]
    if len(sound) < FFT_SIZE:  # which reflection could not fill
      emphasised = np.pad(emphasised, (0, FFT_SIZE - len(sound)))
    if not end.size:
      yield emphasised[half:0:-1]
    yield emphasised
    end = np.append(end, emphasised)[-half - 1 :]
  yield end[-2::-1]


def _mel(padded: np.ndarray) -> np.ndarray:
  """The rows of so many samples, the first 400 of them before the first row's middle; (n, 80) float32."""
  magnitude = _mel_magnitudes(np.lib.stride_tricks.sliding_window_view(padded, FFT_SIZE)[::HOP])
  level = 20 * np.log10(np.maximum(MIN_MAGNITUDE, magnitude)) - REFERENCE_DB
  scaled = 2 * MAX_VALUE * (level - FLOOR_DB) / -FLOOR_DB - MAX_VALUE
  return np.clip(scaled, -MAX_VALUE, MAX_VALUE).astype(np.float32)


def _mel_magnitudes(windows: np.ndarray) -> np.ndarray:
  """(frames, 800) samples -> (frames, 80). Plain numpy: to import librosa takes a second, and 90 MiB to keep it."""
  hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT_SIZE) / FFT_SIZE)
  return np.abs(np.fft.rfft(hann * windows)) @ _mel_filters().T


@cache
def _mel_filters() -> np.ndarray:
  """(80, 401) float32: triangles of equal area, evenly spaced on Slaney's scale, as librosa has them."""
  corners = _hertz(np.linspace(_slaney(LOWEST), _slaney(HIGHEST), MEL_BANDS + 2))
  bins = np.arange(FFT_SIZE // 2 + 1) * SAMPLE_RATE / FFT_SIZE
  left, middle, right = (corners[k : k + MEL_BANDS, None] for k in range(3))
  triangles = np.minimum((bins - left) / (middle - left), (right - bins) / (right - middle))
  return (np.maximum(triangles, 0) * 2 / (right - left)).astype(np.float32)


def _slaney(hertz: float) -> float:
  """Mels of Slaney's Auditory Toolbox (1998): linear up to 1 kHz, logarithmic from there on."""
  return hertz / MEL_HERTZ if hertz < KNEE else KNEE / MEL_HERTZ + math.log(hertz / KNEE) / LOG_STEP


def _hertz(mels: np.ndarray) -> np.ndarray:
  knee = KNEE / MEL_HERTZ
  return np.where(mels < knee, mels * MEL_HERTZ, KNEE * np.exp(LOG_STEP * (mels - knee)))
