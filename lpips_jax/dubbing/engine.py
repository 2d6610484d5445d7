"""The dubbing engine: it reads the face twice, once to find it and once to give it a new mouth.

Frames flow one batch at a time through decode | crop | generate | paste | encode, so memory does not grow with the
length of the video, and while the device generates one batch the next is decoded.
"""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from lpips_jax.cli import UserError
from lpips_jax.dubbing.boxes import find_boxes, padded, read_boxes
from lpips_jax.media import audio as mel
from lpips_jax.media import faces, mp4, video
from lpips_jax.media.detect import make_detector
from lpips_jax.media.pictures import to_bytes
from lpips_jax.media.sound import load_speech

LENGTHS = 'audio', 'video', 'shortest'
BATCH_SIZE = 16  # frames; a batch of 1080p frames is 100 MB
LARGEST_BATCH = 4096

Path_ = str | os.PathLike[str]


def dub(
  face: Path_,
  audio: Path_,
  output: Path_,
  checkpoint: Path_ | Callable[..., Any],
  *,
  detector: str = 'auto',
  detector_model: Path_ | None = None,
  boxes: Path_ | None = None,
  pads: Sequence[int] = (0, 0, 0, 0),
  length: str = 'audio',
  batch_size: int = BATCH_SIZE,
  progress: bool = True,
) -> None:
  """Makes a video in which a face speaks.

  The output has the face's size and exact frame rate, and the driving track as its sound.

  Args:
    face: a video or a still image (which becomes a video of 25 frames a second).
    audio: a sound file, or a video whose sound is taken.
    output: the mp4 to write.
    checkpoint: a generator's checkpoint directory, or the generator that `lpips_jax.load` made of it: it stays warm.
    detector: `auto`, `yunet` or `cascade`; see `media.detect.make_detector`.
    detector_model: YuNet's file.
    boxes: a JSON list of face boxes, used in place of a detector.
    pads: pixels by which boxes grow at the top, bottom, left and right. The crops of training are not padded.
    length: `audio`: as long as the audio, the video being played there and back if it is the shorter; `video`: as long
      as the video; `shortest`: as long as the shorter.
    batch_size: frames generated at once.
    progress: shows progress bars, on a terminal.

  Raises:
    UserError: an input is bad, or the output cannot be written; then nothing is left behind.
  """
  _check_options(length, pads, batch_size)
  mp4.check_output(output)
  _check_distinct(output, face, audio)
  info, samples = video.probe(face), load_speech(audio)
  given = None if boxes is None else padded(read_boxes(boxes), pads, info)
  find = make_detector(detector, detector_model) if given is None else None
  model = load_generator(checkpoint)

  of_audio = frame_count(len(samples), info.rate)
  limit = None if length == 'video' else of_audio
  if given is None:
    track = padded(find_boxes(face, info, find, limit, progress), pads, info)
  else:
    track = _fitted(given, video.count_frames(face, limit))
  n_frames = {'audio': of_audio, 'video': len(track), 'shortest': min(of_audio, len(track))}[length]

  seconds = n_frames / info.rate
  speech = mel.melspectrogram(_with_silence(samples, seconds))
  frames = video.read_frames(face) if n_frames <= len(track) else video.read_there_and_back(face)
  source = zip(_there_and_back(track, n_frames), frames, strict=False)
  dubbed = _dubbed(source, speech, info.rate, model, batch_size)
  with mp4.write_video(output, info, audio, seconds) as write:
    for frame in tqdm(dubbed, 'dubbing', n_frames, unit='frame', disable=None if progress else True):
      write(frame)


def frame_count(samples: int, rate: Fraction) -> int:
  """Returns how many frames 16 kHz sound lasts: at least one, and enough for its last sample."""
  return max(1, -(-samples * rate.numerator // (mel.SAMPLE_RATE * rate.denominator)))


def load_generator(checkpoint: Path_ | Callable[..., Any]) -> Callable[..., Any]:
  """Returns the generator of a checkpoint directory, or the one given; raises UserError when it is none."""
  if callable(checkpoint):
    return checkpoint
  import lpips_jax

  model = lpips_jax.load(checkpoint)
  if model.config.task != 'generator':
    raise UserError(f'{checkpoint} holds a {model.config.task}: dubbing needs a generator')
  return model


def _dubbed(
  source: Iterable[tuple[np.ndarray, np.ndarray]],
  speech: np.ndarray,
  rate: Fraction,
  model: Callable[..., Any],
  batch_size: int,
) -> Iterator[np.ndarray]:
  """Yields each frame of the source, (box, frame) pairs, with its mouth replaced; where the box is NaN, as it was."""
  size, lead = model.config.model.image_size, Fraction(model.config.data.lead)
  waiting = None
  for first, batch in _batches(source, batch_size):
    windows = mel.mel_windows(speech, rate, len(batch), lead - first)
    begun = batch, _generate(model, batch, windows, size, batch_size)
    if waiting is not None:
      yield from _pasted(*waiting)
    waiting = begun
  if waiting is not None:
    yield from _pasted(*waiting)


def _generate(model: Callable[..., Any], batch: list, windows: np.ndarray, size: int, batch_size: int) -> Any:
  """Starts the generator on the faces of a batch; always `batch_size` of them, so that it is compiled once."""
  from lpips_jax.models.inputs import generator_faces  # here: bad input is told before JAX is waited for

  shown = [k for k, (box, _) in enumerate(batch) if not np.isnan(box).any()]
  if not shown:
    return None
  crops = np.zeros((batch_size, size, size, 3), np.uint8)
  mels = np.zeros((batch_size, *windows.shape[1:]), np.float32)
  for place, k in enumerate(shown):
    box, frame = batch[k]
    crops[place], mels[place] = faces.crop(frame, box, size), windows[k]
  return model(generator_faces(crops, crops), mels)


def _pasted(batch: list, generated: Any) -> Iterator[np.ndarray]:
  new = iter(()) if generated is None else iter(to_bytes(generated))
  for box, frame in batch:
    yield frame if np.isnan(box).any() else faces.paste(frame, box, next(new))


def _batches(items: Iterable, size: int) -> Iterator[tuple[int, list]]:
  items = iter(items)
  first = 0
  while batch := list(itertools.islice(items, size)):
    yield first, batch
    first += len(batch)


def _there_and_back(track: np.ndarray, n_frames: int) -> Iterator[np.ndarray]:
  return (track[video.there_and_back(k, len(track))] for k in range(n_frames))


def _with_silence(samples: np.ndarray, seconds: Fraction) -> np.ndarray:
  """A mouth is shut after the last word: the sound goes on as silence to the end of the video."""
  return np.pad(samples, (0, max(0, int(seconds * mel.SAMPLE_RATE) - len(samples))))


def _fitted(boxes: np.ndarray, n_frames: int) -> np.ndarray:
  """Frames for which no box was given are left alone."""
  return np.concatenate([boxes[:n_frames], np.full((max(0, n_frames - len(boxes)), 4), np.nan)])


def _check_options(length: str, pads: Sequence[int], batch_size: int) -> None:
  if length not in LENGTHS:
    raise UserError(f'--length must be one of {", ".join(LENGTHS)}, not {length!r}')
  if len(pads) != 4:
    raise UserError(f'--pads must be four numbers of pixels, top,bottom,left,right, not {len(pads)}')
  if not 1 <= batch_size <= LARGEST_BATCH:
    raise UserError(f'--batch_size must be from 1 to {LARGEST_BATCH}, not {batch_size}')


def _check_distinct(output: Path_, *inputs: Path_) -> None:
  for path in inputs:
    if Path(output).exists() and Path(path).exists() and Path(output).samefile(path):
      raise UserError(f'the output {output} is one of the inputs: choose another name')
