"""The one mel spectrogram of the project, and the one rule that gives a video frame its window of it.

Preparation, training and evaluation call `melspectrogram` and `mel_windows`; dubbing calls `chunked_mel` and
`mel_windows_at`, which do the same arithmetic for long sound and any frame times. So no two of them disagree by a
frame. The numbers are Wav2Lip's, so that its released weights see the input they were trained on.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Protocol

import numpy as np

from lpips_jax.audio.chunks import ChunkedArray, Sound, in_chunks
from lpips_jax.audio.filter_bank import mel_filters
from lpips_jax.core.constants import MEL_BANDS, MEL_HOP, MEL_MAX, MEL_RATE, MEL_WINDOW, SAMPLE_RATE

FFT_SIZE = 800  # samples, 50 ms; also the length of the Hann window
MIN_HERTZ, MAX_HERTZ = 55, 7600  # where the first band begins and the last one ends
PREEMPHASIS = 0.97
MIN_MAGNITUDE = 1e-5
REFERENCE_DB = 20.0
FLOOR_DB = -100.0
BLOCK_ROWS = 2048  # mel frames transformed at once


class SpeechFeatures(Protocol):
  """A mel spectrogram or a phone track, (M, 80): an array, or an object that gives the same slices."""

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


def chunked_mel(sound: Sound) -> ChunkedArray:
  """Returns the same spectrogram, to the bit, computed as it is read: one of hours takes no more memory."""
  return ChunkedArray(lambda: _mel_blocks(sound), 1 + len(sound) // MEL_HOP)


def mel_windows(
  mel: SpeechFeatures, frame_rate: Fraction | float, n_frames: int, lead: float = 0, length: int = MEL_WINDOW
) -> np.ndarray:
  """Returns the window of speech that belongs to each video frame.

  The window of frame k starts at mel frame floor(80 (k - lead) / frame_rate). Without a lead it spans the five frames
  from k on (at 25 fps), as the sync expert wants it; with a lead of two it is centred on the frame. A longer window has
  the same centre. The first and the last mel frame are repeated past the ends, so every video frame has a window.

  Args:
    mel: (M, 80), M >= 1, from `melspectrogram` or `chunked_mel`; or a track from `audio.phones.phone_track`.
    frame_rate: video frames a second; a Fraction keeps 30000/1001 exact.
    n_frames: number of video frames, from the start of the sound.
    lead: number of video frames by which a window of 16 mel frames starts before its frame.
    length: number of mel frames in a window, at least 16 and even.

  Returns:
    (n_frames, 80, length) float32.

  Raises:
    ValueError: the spectrogram is empty or does not have 80 bands.
  """
  # In whole numbers, which are exact, and quicker than fractions: floor((k - lead) * steps / frames).
  before, per_frame = Fraction(lead), MEL_RATE / Fraction(frame_rate)
  steps, frames = per_frame.numerator, per_frame.denominator * before.denominator
  starts = [(k * before.denominator - before.numerator) * steps // frames for k in range(n_frames)]
  return _windows_around(mel, starts, length)


def mel_windows_at(mel: SpeechFeatures, starts: Sequence[Fraction], length: int = MEL_WINDOW) -> np.ndarray:
  """Returns windows of speech from mel frame floor(80 start) on, or longer ones with the same centre.

  Args:
    mel: as for `mel_windows`; if it is chunked, the earliest start should rise from one call to the next.
    starts: n exact times in seconds from the start of the sound; past its ends the last mel frame is repeated.
    length: as for `mel_windows`.

  Returns:
    (n, 80, length) float32.

  Raises:
    ValueError: the spectrogram is empty or does not have 80 bands.
  """
  return _windows_around(mel, [start.numerator * MEL_RATE // start.denominator for start in starts], length)


def _windows_around(mel: SpeechFeatures, starts: Sequence[int], length: int) -> np.ndarray:
  """Returns windows of any length with the centres of those of 16 mel frames that begin at `starts`."""
  first = np.array(starts, np.int64) - (length - MEL_WINDOW) // 2
  index = np.clip(first[:, None] + np.arange(length), 0, len(mel) - 1)
  low, high = (index.min(), index.max() + 1) if index.size else (0, 1)
  rows = np.asarray(mel[low:high], np.float32)
  if rows.ndim != 2 or rows.shape[0] == 0 or rows.shape[1] != MEL_BANDS:
    raise ValueError(f'a mel spectrogram has shape (frames >= 1, {MEL_BANDS}), not {(len(mel), *rows.shape[1:])}')
  return rows[index - low].transpose(0, 2, 1)


def _mel_blocks(sound: Sound) -> Iterator[np.ndarray]:
  """Yields the spectrogram in blocks of `BLOCK_ROWS` rows, (n, 80), however the sound is cut in chunks."""
  rows, block = 1 + len(sound) // MEL_HOP, (BLOCK_ROWS - 1) * MEL_HOP + FFT_SIZE
  held: np.ndarray = np.zeros(0, np.float32)
  for piece in _padded(sound):
    held = np.append(held, piece)
    while len(held) >= block and rows >= BLOCK_ROWS:
      yield _mel(held[:block])
      held, rows = held[BLOCK_ROWS * MEL_HOP :], rows - BLOCK_ROWS
  if rows:
    yield _mel(held[: (rows - 1) * MEL_HOP + FFT_SIZE])


def _padded(sound: Sound) -> Iterator[np.ndarray]:
  """Yields sound with its high frequencies emphasised, reflected by half a Fourier window at both ends."""
  half = FFT_SIZE // 2
  before: np.ndarray = np.zeros(1, np.float32)  # the last sample of the chunk before
  end: np.ndarray = np.zeros(0, np.float32)
  for piece in in_chunks(sound, BLOCK_ROWS * MEL_HOP):
    emphasised = piece - PREEMPHASIS * np.append(before, piece[:-1])
    before = piece[-1:]
    if len(sound) < FFT_SIZE:  # too short to be reflected so far
      emphasised = np.pad(emphasised, (0, FFT_SIZE - len(sound)))
    if not end.size:
      yield emphasised[half:0:-1]
    yield emphasised
    end = np.append(end, emphasised)[-half - 1 :]
  yield end[-2::-1]


def _mel(padded: np.ndarray) -> np.ndarray:
  """Returns the rows, (n, 80) float32, of samples that begin 400 before the middle of the first row."""
  magnitude = _mel_magnitudes(np.lib.stride_tricks.sliding_window_view(padded, FFT_SIZE)[::MEL_HOP])
  level = 20 * np.log10(np.maximum(MIN_MAGNITUDE, magnitude)) - REFERENCE_DB
  scaled = 2 * MEL_MAX * (level - FLOOR_DB) / -FLOOR_DB - MEL_MAX
  return np.clip(scaled, -MEL_MAX, MEL_MAX).astype(np.float32)


def _mel_magnitudes(windows: np.ndarray) -> np.ndarray:
  """(frames, 800) samples -> (frames, 80)."""
  hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT_SIZE) / FFT_SIZE)
  filters = mel_filters(SAMPLE_RATE, FFT_SIZE, MEL_BANDS, MIN_HERTZ, MAX_HERTZ)
  return np.abs(np.fft.rfft(hann * windows)) @ filters.T
