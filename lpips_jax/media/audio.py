"""The one mel spectrogram of the project, and the one rule that gives a video frame its window of it.

Preprocessing, training, evaluation and dubbing all call these two functions, so that no two of them can disagree
by a frame. The numbers are Wav2Lip's, so that its released weights see the input they were trained on.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import cache

import numpy as np

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
BLOCK = 2048  # mel frames transformed at once, so that an hour of sound takes no more memory than a minute


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
  emphasised = np.append(samples[:1], samples[1:] - PREEMPHASIS * samples[:-1])
  padded = np.pad(_at_least(emphasised, FFT_SIZE), FFT_SIZE // 2, mode='reflect')
  windows = np.lib.stride_tricks.sliding_window_view(padded, FFT_SIZE)[::HOP][: 1 + samples.size // HOP]
  magnitude = np.concatenate([_mel_magnitudes(windows[k : k + BLOCK]) for k in range(0, len(windows), BLOCK)])
  level = 20 * np.log10(np.maximum(MIN_MAGNITUDE, magnitude)) - REFERENCE_DB
  scaled = 2 * MAX_VALUE * (level - FLOOR_DB) / -FLOOR_DB - MAX_VALUE
  return np.clip(scaled, -MAX_VALUE, MAX_VALUE).astype(np.float32)


def mel_windows(mel: np.ndarray, frame_rate: Fraction | float, n_frames: int, lead: float = 0) -> np.ndarray:
  """Returns the window of speech that belongs to each video frame.

  The window of frame k starts at mel frame floor(80 (k - lead) / frame_rate): with no lead it spans the five frames
  from k on (at 25 fps), as the sync expert wants it; with a lead of two it is centred on the frame. The first and the
  last mel frame are repeated past the ends, so every video frame has a window.

  Args:
    mel: (M, 80), from `melspectrogram`, M >= 1; or `media.phones.phone_track`.
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


def mel_windows_at(mel: np.ndarray, starts: Sequence[Fraction]) -> np.ndarray:
  """Returns windows of speech, each of 0.2 s, from mel frame floor(80 start) on.

  Args:
    mel: (M, 80), from `melspectrogram`, M >= 1.
    starts: n times in seconds from the start of the sound, exactly; past its ends the last mel frame is repeated.

  Returns:
    (n, 80, 16) float32.

  Raises:
    ValueError: the spectrogram is empty or does not have 80 bands.
  """
  return _windows_from(mel, [start.numerator * MEL_RATE // start.denominator for start in starts])


def _windows_from(mel: np.ndarray, first: Sequence[int]) -> np.ndarray:
  mel = np.asarray(mel, np.float32)
  if mel.ndim != 2 or mel.shape[0] == 0 or mel.shape[1] != MEL_BANDS:
    raise ValueError(f'a mel spectrogram has shape (frames >= 1, {MEL_BANDS}), not {mel.shape}')
  index = np.clip(np.array(first, np.int64)[:, None] + np.arange(WINDOW), 0, len(mel) - 1)
  return mel[index].transpose(0, 2, 1)


def _at_least(samples: np.ndarray, length: int) -> np.ndarray:
  """Pads with silence what is shorter than one Fourier window, which reflection could not fill."""
  return np.pad(samples, (0, max(0, length - samples.size)))


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
