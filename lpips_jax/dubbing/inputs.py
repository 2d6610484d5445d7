"""The inputs of a dub, opened and checked before anything expensive starts."""

import math
import os
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

from absl import logging

from lpips_jax import provenance
from lpips_jax.audio import loudness
from lpips_jax.audio.chunks import ChunkedArray, part
from lpips_jax.core.constants import SAMPLE_RATE
from lpips_jax.core.errors import Cancelled, UserError
from lpips_jax.core.files import PathLike
from lpips_jax.dubbing.options import Options
from lpips_jax.media import video_writer
from lpips_jax.media.playback import PlayedFrame, play, play_there_and_back
from lpips_jax.media.speech import load_driving_speech
from lpips_jax.media.video_reader import VideoInfo, part_of, probe
from lpips_jax.storage.places import remote_ones

SETTLING = Fraction(3)  # seconds after a frame that decide on its boxes: tracks are smooth, and bridge gaps

Item = TypeVar('Item')


@dataclass(frozen=True, eq=False)
class Inputs:
  """The face and the speech of one dub, opened.

  Attributes:
    face: the video or still image.
    info: its properties, and the part of it that is used.
    audio: the file whose sound track goes into the dub.
    samples: (S,) float in [-1, 1] at 16 kHz, the speech from the first frame on.
    delay: seconds from the first frame that is made to the start of the sound track.
    whole_sound: whether the sound track may go on after the last frame.
    there_and_back: whether the video plays forwards and backwards until `end`.
    begin, end: seconds at which the part of the dub that is made begins and ends; None is the end of the video.
    whole_end: likewise, of the whole dub.
  """

  face: PathLike
  info: VideoInfo
  audio: PathLike
  samples: ChunkedArray
  delay: Fraction
  whole_sound: bool
  there_and_back: bool
  begin: Fraction
  end: Fraction | None
  whole_end: Fraction | None

  @property
  def sound(self) -> tuple[PathLike, bool, Fraction]:
    """The sound track as `media.video_writer.write_video` takes it."""
    return self.audio, self.whole_sound, self.delay

  @property
  def frames(self) -> int | None:
    """The number of frames that are made, as far as it is known before."""
    first, known = -(-self.begin * self.info.rate // 1), self.info.frames
    wanted = None if self.end is None else -(-self.end * self.info.rate // 1)
    last = wanted if self.there_and_back or known is None else known if wanted is None else min(wanted, known)
    return None if last is None else max(1, int(last - first))

  @property
  def read_until(self) -> Fraction | None:
    """Seconds up to which the video is read: the boxes of the last frames of a part depend on those that follow."""
    known = [end for end in (self.whole_end, None if self.end is None else self.end + SETTLING) if end is not None]
    return min(known, default=None)

  def played(self) -> Iterator[PlayedFrame]:
    """Plays the video."""
    source = (play_there_and_back if self.there_and_back else play)(self.face, self.info)
    return until(source, self.read_until)


def open_inputs(face: PathLike, audio: PathLike, options: Options, cancel: threading.Event) -> Inputs:
  """Opens the face and the speech of a dub.

  Args:
    face: a video or a still image.
    audio: a file with a sound track.
    options: of the dub.
    cancel: once it is set, reading the speech raises `Cancelled`.

  Raises:
    UserError: one of them cannot be used.
  """
  info = film_info(face, options)
  delay, heard = load_driving_speech(audio, options.max_minutes)
  samples = ChunkedArray(lambda: unless_cancelled(heard.chunks(), cancel), len(heard))
  if options.audio_part is not None:
    first, last = _exact(options.audio_part)
    if round(first * SAMPLE_RATE) >= len(samples):
      raise UserError(f'{audio} ends before {float(first):g} s, where audio_part begins', 'audio_part')
    samples, delay = part(samples, round(first * SAMPLE_RATE), round(last * SAMPLE_RATE)), delay - first
  if loudness.speech_level(samples) is None:
    logging.warning('nothing is heard in %s: it is silent, or below -60 dB of full scale', audio)
  length = 'audio' if info.still else options.length  # a still image has no length of its own
  whole_end = None if length == 'video' else Fraction(len(samples), SAMPLE_RATE)
  begin, end = Fraction(0), whole_end
  if options.only is not None:
    begin, last = _exact(options.only)
    clock = info.tick or 1 / info.rate
    begin = math.ceil(begin / clock) * clock  # all times of frames are multiples of it
    end = last if end is None else min(last, end)
    if end <= begin:
      raise UserError(f'the dub ends after {float(end):g} s, before `only` begins', 'only')
  return Inputs(
    face=face,
    info=info,
    audio=audio,
    samples=samples,
    delay=delay - begin,
    whole_sound=length == 'audio' and options.audio_part is None and options.only is None,
    there_and_back=length == 'audio',
    begin=begin,
    end=end,
    whole_end=whole_end,
  )


def film_info(face: PathLike, options: Options) -> VideoInfo:
  """Returns the properties of a video or still image, and the part of it that is used."""
  info = probe(face, options.max_pixels)
  if options.face_part is not None and not info.still:
    info = part_of(info, *_exact(options.face_part))
  return info


def check_outputs(output: PathLike, options: Options, inputs: Iterable[PathLike]) -> None:
  """Raises UserError unless every output can be written, and none of them is an input or another output."""
  video_writer.check_output(output, options.codec, options.crf)
  provenance.check(output, options.c2pa_cert, options.c2pa_key)
  outputs = [output]
  if options.preview is not None:
    video_writer.check_output(options.preview)
    provenance.check(options.preview, options.c2pa_cert, options.c2pa_key)
    outputs.append(options.preview)
  if options.save_boxes is not None:
    video_writer.check_place(options.save_boxes)
    outputs.append(options.save_boxes)
  outputs += options.other_outputs
  if len({os.path.realpath(path) for path in outputs}) < len(outputs):
    names = 'output', 'preview', 'save_boxes'
    raise UserError('output, preview, save_boxes and subtitles must be different files', *names)
  read = [*inputs, options.boxes, options.turns, options.detector_model, options.c2pa_cert, options.c2pa_key]
  paths = [path for path in (*read, *options.other_inputs) if isinstance(path, str | os.PathLike)]
  given, urls = [Path(path) for path in paths], remote_ones(paths)
  for path in outputs:
    same = Path(path).exists() and any(other.exists() and Path(path).samefile(other) for other in given)
    if same or str(path) in urls:
      raise UserError(f'the output {os.fspath(path)} is one of the inputs: choose another name')


def until(frames: Iterable[PlayedFrame], end: Fraction | None) -> Iterator[PlayedFrame]:
  """Yields the frames that are shown before a time, in seconds, at least one; all if it is None."""
  for number, shown in enumerate(frames):
    if number and end is not None and shown.time >= end:
      return
    yield shown


def unless_cancelled(items: Iterable[Item], cancel: threading.Event) -> Iterator[Item]:
  """Yields items until `cancel` is set; then raises `Cancelled`."""
  for item in items:
    if cancel.is_set():
      raise Cancelled
    yield item


def _exact(part: Iterable[float]) -> tuple[Fraction, Fraction]:
  """Returns the begin and the end of a part, to the microsecond."""
  begin, end = (Fraction(round(1_000_000 * seconds), 1_000_000) for seconds in part)
  return begin, end
