"""Speech as the phones that a recogniser hears in it: an input for a generator in place of a mel spectrogram.

A mel spectrogram carries the voice, and a network that has heard few voices, or procedural ones, makes little of a new
one. A recogniser that has heard hundreds of people gives the same phones for all of them.
"""

import logging
import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from lpips_jax.audio.chunks import ChunkedArray, Sound, in_chunks, mapped
from lpips_jax.audio.loudness import levelled, speech_level
from lpips_jax.audio.mel import BLOCK_ROWS
from lpips_jax.core.constants import MEL_BANDS, MEL_HOP, MEL_MAX, MEL_RATE, SAMPLE_RATE

# ARPAbet, as the CMU pronouncing dictionary has it; silence and noises come first.
PHONES = (
  '', 'AA', 'AE', 'AH', 'AO', 'AW', 'AY', 'B', 'CH', 'D', 'DH', 'EH', 'ER', 'EY', 'F', 'G', 'HH', 'IH', 'IY', 'JH', 'K',
  'L', 'M', 'N', 'NG', 'OW', 'OY', 'P', 'R', 'S', 'SH', 'T', 'TH', 'UH', 'UW', 'V', 'W', 'Y', 'Z', 'ZH',
)  # fmt: skip
LOUDNESS_COLUMN = len(PHONES)  # the column of a phone track after those of the phones: how loud it is
LOUD_PERCENTILE = 95
LOUDNESS_RANGE = 2.8  # of a mel's mean, 35 dB: from the loud parts of speech down to silence
MAX_SILENT_MEAN = 0.3 - MEL_MAX  # of a mel: if its loud parts have a lower mean, they are no speech
PIECE_SECONDS = 20  # seconds of speech that are recognised together, cut at the quietest place of the next quarter
RECOGNISER_HOP = SAMPLE_RATE // 100  # samples of a frame of the recogniser


def recognise_phones(samples: Sound) -> np.ndarray:
  """Recognises the phone at each row of the mel spectrogram of some speech.

  Args:
    samples: (S,) float in [-1, 1] at 16 kHz, S >= 1, chunked or not; its level does not matter.

  Returns:
    (1 + S // 200,) int8, indices into `PHONES`.

  The recogniser is pocketsphinx, with its English acoustic model and a phone bigram; other languages come out as the
  English phones nearest to theirs.
  """
  heard = np.zeros(1 + len(samples) // MEL_HOP, np.int8)
  if speech_level(samples) is None:  # a recogniser would hear something all the same
    return heard
  decoder = _decoder()
  coded = mapped(lambda piece: np.round(32767 * np.clip(piece, -1, 1)).astype('<i2'), levelled(samples))
  for first, last in _pieces(coded):
    decoder.start_utt()
    decoder.process_raw(coded[first:last].tobytes(), full_utt=True)
    decoder.end_utt()
    for found in decoder.seg() or ():
      begin, end = (
        round((first + frame * RECOGNISER_HOP) / MEL_HOP) for frame in (found.start_frame, found.end_frame + 1)
      )
      heard[begin:end] = _INDICES.get(found.word.strip('+'), 0)
  return heard


TimedPhone = tuple[str, float]  # of `PHONES`, and the time at which it ends, in seconds, and the next one begins


class PhoneTrack:
  """A phone track, computed when it is sliced; see `phone_track`.

  Args:
    heard: (M,) int, from `recognise_phones`.
    mel: (M, 80), `audio.loudness.mel_of` the same speech, chunked or not.
  """

  def __init__(self, heard: np.ndarray, mel: np.ndarray | ChunkedArray) -> None:
    self._heard, self._loudness = heard, loudness_of(mel)

  def __len__(self) -> int:
    return len(self._loudness)

  def __getitem__(self, part: slice) -> np.ndarray:
    heard = self._heard[part]
    track = np.zeros((len(heard), MEL_BANDS), np.float32)
    track[np.arange(len(heard)), heard] = 1
    track[:, LOUDNESS_COLUMN] = self._loudness[part]
    return track


def loudness_of(mel: np.ndarray | ChunkedArray) -> np.ndarray:
  """Returns how loud speech is, (M,) float32 in [0, 1], relative to its loud parts; 0 throughout where nobody speaks.

  Args:
    mel: (M, 80), `audio.loudness.mel_of` the speech, chunked or not.
  """
  rows = in_chunks(mel, BLOCK_ROWS)
  level = np.concatenate([np.asarray(block, np.float32).mean(1) for block in rows])
  loud = np.percentile(level, LOUD_PERCENTILE)
  speaks = loud > MAX_SILENT_MEAN
  return np.clip(1 + (level - loud) / LOUDNESS_RANGE, 0, 1) if speaks else np.zeros_like(level)


def phone_track(heard: np.ndarray, mel: np.ndarray) -> np.ndarray:
  """Returns which phone is heard at each moment, and how loud: the input of a generator that hears phones.

  Args:
    heard: (M,) int, from `recognise_phones`.
    mel: (M, 80), `audio.loudness.mel_of` the same speech.

  Returns:
    (M, 80) float32 in [0, 1], a row each 12.5 ms, in the shape of a mel spectrogram, so that networks are called alike:
    one column a phone, of which one is 1; the loudness relative to the loud parts of this speech, so that its level
    does not matter; and zeros.
  """
  return PhoneTrack(heard, mel)[:]


def silent_track(length: int) -> np.ndarray:
  """Returns the phone track of silence, (length, 80) float32."""
  track = np.zeros((length, MEL_BANDS), np.float32)
  track[:, 0] = 1
  return track


def timed_phones(phones: Iterable[TimedPhone], rows: int) -> np.ndarray:
  """Returns phones whose times are known as `recognise_phones` returns them, (rows,) int8.

  Args:
    phones: in order; the first ones may end before the speech begins, and silence follows the last.
    rows: of the mel spectrogram of the speech.
  """
  heard = np.zeros(rows, np.int8)
  begin = 0
  for phone, end in phones:
    last = max(begin, math.ceil(end * MEL_RATE))  # row i stands for the moment i / 80 s
    heard[begin:last] = _INDICES[phone]
    begin = last
  return heard


def _decoder() -> Any:
  from pocketsphinx import Decoder, get_model_path  # here, because only phones need it

  logging.getLogger('pocketsphinx').setLevel(logging.ERROR)
  model = f'{get_model_path()}/en-us'
  return Decoder(
    hmm=f'{model}/en-us', allphone=f'{model}/en-us-phone.lm.bin', lw=2.0, pip=0.3, beam=1e-20, pbeam=1e-20,
    loglevel='FATAL',
  )  # fmt: skip


def _pieces(samples: Sound) -> Iterator[tuple[int, int]]:
  """Yields the first and the last + 1 sample of pieces, cut where speech is quiet."""
  first, longest = 0, PIECE_SECONDS * SAMPLE_RATE
  while len(samples) - first > longest + longest // 4:
    levels = np.abs(samples[first : first + longest + longest // 4][longest:].astype(np.float32))
    quiet = np.convolve(
      levels[: len(levels) // RECOGNISER_HOP * RECOGNISER_HOP].reshape(-1, RECOGNISER_HOP).mean(1), np.ones(10), 'same'
    ).argmin()
    last = first + longest + int(quiet) * RECOGNISER_HOP
    yield first, last
    first = last
  yield first, len(samples)


_INDICES = {phone: index for index, phone in enumerate(PHONES)}
