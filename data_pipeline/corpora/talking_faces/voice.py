"""The voice of a procedural speaker: a source-filter synthesiser.

Two sources, glottal pulses and white noise, are cut into short overlapping frames; each frame's spectrum is multiplied
by the response of the vocal tract at that moment (formants for the voice, a band for frication) and added up again.
"""

from dataclasses import dataclass

import numpy as np

from data_pipeline.corpora.talking_faces.articulation import GESTURE_RATE, Articulation
from lpips_jax.core.constants import SAMPLE_RATE

SAMPLES_PER_STEP = SAMPLE_RATE // GESTURE_RATE  # 80 samples for each step of the articulation
_WINDOW = 4 * SAMPLES_PER_STEP  # Hann, 20 ms; at three quarters overlap the windows add up to 2
_FFT = 640  # leaves 10 ms on either side for formants to ring, and is a multiple of the hop
_HIGHER_FORMANTS = (3500.0, 4500.0)  # Hz, fixed: they carry the speaker rather than the vowel
_BANDWIDTHS = (80.0, 100.0, 140.0, 220.0, 300.0)  # Hz
_TILT = 700.0  # Hz; above it the glottal spectrum, radiation included, falls by 6 dB an octave
_FRICATION = 0.25  # amplitude of frication relative to a vowel's pulses, tuned by ear


@dataclass(frozen=True)
class Voice:
  """The parameters of a person's voice.

  Attributes:
    pitch: mean fundamental frequency, Hz.
    intonation: range of the pitch, in octaves.
    tract: factor on all formants; 1 is an average adult; a child's is larger.
    breath: noise mixed into the voiced sounds, amplitude.
    level: root mean square of the speech, 1 being full scale.
    hiss: root mean square of the background noise.
  """

  pitch: float
  intonation: float
  tract: float
  breath: float
  level: float
  hiss: float


def draw_voice(rng: np.random.Generator) -> Voice:
  """Draws a random person's voice; higher voices have shorter vocal tracts."""
  height = rng.uniform(-1, 1)
  return Voice(
    pitch=float(145 * 2 ** (0.62 * height + rng.normal(0, 0.08))),
    intonation=float(rng.uniform(0.12, 0.35)),
    tract=float(np.clip(1 + 0.1 * height + rng.normal(0, 0.03), 0.86, 1.16)),
    breath=float(rng.uniform(0.01, 0.06)),
    level=float(10 ** rng.uniform(-1.35, -0.85)),
    hiss=float(10 ** rng.uniform(-3.6, -2.9)),
  )


def speak(articulation: Articulation, voice: Voice, rng: np.random.Generator) -> np.ndarray:
  """Synthesises an utterance: (80 G,) int16 at 16 kHz, for an articulation of G steps."""
  n_steps = len(articulation.opening)
  frequencies = np.fft.rfftfreq(_FFT, 1 / SAMPLE_RATE).astype(np.float32)
  tract = _formant_response(frequencies, (articulation.formants * voice.tract).astype(np.float32))
  voicing, frication = articulation.voicing.astype(np.float32), articulation.noise.astype(np.float32)
  voiced = voicing[:, None] * tract
  hissed = frication[:, None] * _band_response(frequencies, articulation.band.astype(np.float32))

  pulses = _pulses(_pitch(n_steps, voice, rng), rng)
  noise = rng.standard_normal(n_steps * SAMPLES_PER_STEP)
  spectrum = _frames(pulses) * (voiced / (1 + frequencies / _TILT))
  spectrum += _frames(noise) * (_FRICATION * hissed + voice.breath * voiced)
  speech = _overlap_add(spectrum)
  speech *= voice.level / np.sqrt(np.mean(speech**2) + 1e-12)
  speech = np.tanh(speech + voice.hiss * rng.standard_normal(len(speech)))
  return np.round(32767 * speech).astype(np.int16)


def _pitch(n_steps: int, voice: Voice, rng: np.random.Generator) -> np.ndarray:
  """Draws the fundamental frequency of every sample: falling slowly, with slow swings and a little jitter."""
  time = np.arange(n_steps) / GESTURE_RATE
  swings = sum(np.sin(2 * np.pi * (rng.uniform(0.3, 1.6) * time + rng.random())) for _ in range(3)) / 3
  octaves = voice.intonation * (swings - 0.3 * time / time[-1]) + rng.normal(0, 0.012, n_steps)
  return voice.pitch * 2 ** np.interp(
    np.arange(n_steps * SAMPLES_PER_STEP) / SAMPLES_PER_STEP, np.arange(n_steps), octaves
  )


def _pulses(pitch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """Returns one pulse for each period, split between the two nearest samples; all periods have equal power."""
  phase = np.cumsum(pitch) / SAMPLE_RATE
  last = np.flatnonzero(np.diff(np.floor(phase)) > 0)
  step = phase[last + 1] - phase[last]
  fraction = (np.floor(phase[last + 1]) - phase[last]) / step
  height = (1 + 0.04 * rng.standard_normal(len(last))) / np.sqrt(step)
  pulses = np.zeros(len(pitch))
  np.add.at(pulses, last, height * (1 - fraction))
  np.add.at(pulses, last + 1, height * fraction)
  return pulses


def _formant_response(frequencies: np.ndarray, formants: np.ndarray) -> np.ndarray:
  """Returns the magnitude of a cascade of resonances, (G, F), for formants (G, 3) in Hz (Klatt 1980)."""
  response = np.ones((len(formants), len(frequencies)), np.float32)
  higher = [np.full(len(formants), value, np.float32) for value in _HIGHER_FORMANTS]
  for centre, width in zip([*formants.T, *higher], _BANDWIDTHS, strict=True):
    square = centre[:, None] ** 2
    response *= square / np.sqrt((square - frequencies**2) ** 2 + (width * frequencies) ** 2)
  return response


def _band_response(frequencies: np.ndarray, band: np.ndarray) -> np.ndarray:
  centre, width = band[:, :1], band[:, 1:]
  return np.exp(-0.5 * ((frequencies - centre) / width) ** 2)


def _frames(source: np.ndarray) -> np.ndarray:
  """Returns the spectra (G, F) of Hann frames around each step, in the middle of a longer buffer."""
  padded = np.pad(source, _WINDOW // 2)
  windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[SAMPLES_PER_STEP // 2 :: SAMPLES_PER_STEP]
  buffer = np.zeros((len(source) // SAMPLES_PER_STEP, _FFT), np.float32)
  start = (_FFT - _WINDOW) // 2
  buffer[:, start : start + _WINDOW] = windows[: len(buffer)] * np.hanning(_WINDOW + 1)[:-1]
  return np.fft.rfft(buffer)


def _overlap_add(spectrum: np.ndarray) -> np.ndarray:
  blocks = np.fft.irfft(spectrum, _FFT).reshape(len(spectrum), -1, SAMPLES_PER_STEP)
  n_steps, n_blocks, _ = blocks.shape
  out = np.zeros((n_steps + n_blocks, SAMPLES_PER_STEP))
  for i in range(n_blocks):
    out[i : i + n_steps] += blocks[:, i]
  start = _FFT // 2 - SAMPLES_PER_STEP // 2  # a frame's centre lies in the middle of its step
  return out.reshape(-1)[start : start + n_steps * SAMPLES_PER_STEP] / 2
