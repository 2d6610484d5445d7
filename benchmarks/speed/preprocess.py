"""Speed of preparation in video frames per second and core, and the share of face detection in it.

  python -m benchmarks.speed.preprocess --output=preprocess.json

Prepares clips of the embedded corpus, 25 frames per second, h264 and AAC, in this process on one core, at LRS2's size
and at 720 pixels. The same run measures finding the faces alone, by `faces.scan` and by the same detector on every
frame at full size; `agreement` is the mean intersection over union of the two tracks.
"""

import json
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from absl import flags
from tqdm import tqdm

from benchmarks import commands
from data_pipeline.corpora.talking_faces.clips import draw_clip
from data_pipeline.preparation.cutting import CutSettings, cut
from data_pipeline.preparation.layouts import RawClip
from lpips_jax.core import cli
from lpips_jax.faces.boxes import overlap
from lpips_jax.faces.detect import Detect, choose_detector, make_detector
from lpips_jax.faces.scan import VideoScan, scan_video
from lpips_jax.faces.tracks import track_faces
from lpips_jax.media.speech import write_speech
from lpips_jax.media.video_reader import VideoInfo, probe, read_timed
from lpips_jax.media.video_writer import write_video

FRAME_SIDES = 160, 720  # pixels
CLIPS, CLIP_SECONDS = 6, 4
MAX_RENDERED_PIXELS = 256  # larger pictures are enlarged
FULL_SIZE = 10_000  # pixels: as a detector's longest side it reduces no frame


Result = TypeVar('Result')


def define_flags() -> None:
  flags.DEFINE_string('output', None, 'JSON file for the figures.')
  flags.DEFINE_string('detector', 'auto', 'yunet, cascade, or auto: the first that is available.')
  flags.DEFINE_string('detector_model', None, "YuNet's file; by default LIPSYNC_YUNET or a download.")
  flags.DEFINE_integer('rounds', 3, 'Number of rounds, of which the fastest counts.', lower_bound=1)


def main() -> None:
  given = flags.FLAGS
  cv2.setNumThreads(1)
  kind, model = choose_detector(given.detector, given.detector_model)
  figures: dict[str, Any] = {'detector': kind}
  with tempfile.TemporaryDirectory() as temporary:
    for side in FRAME_SIDES:
      paths = [_film(Path(temporary), number, side) for number in range(CLIPS)]
      figures[f'{side}_pixels'] = _measure(
        paths, make_detector(kind, model), make_detector(kind, model, FULL_SIZE), given
      )
  print(json.dumps(figures, indent=2))
  commands.write_figures(given.output, figures)


def _measure(paths: list[Path], find: Detect, find_at_full_size: Detect, given: flags.FlagValues) -> dict[str, float]:
  seconds: dict[str, list[float]] = {'prepared': [], 'surveyed': [], 'every_frame': []}
  for _ in tqdm(range(given.rounds), 'rounds', leave=False, disable=None):
    _timed(seconds['prepared'], paths, lambda path: cut(RawClip(path.stem, 'who', 'train', path), find, CutSettings()))
    scans = _timed(seconds['surveyed'], paths, lambda path: scan_video(path, find))
    detections = _timed(seconds['every_frame'], paths, lambda path: _detect_in_every_frame(path, find_at_full_size))
  frames = sum(len(scan.times) for scan in scans)
  rates = {f'{name}_frames_per_second_and_core': frames / min(values) for name, values in seconds.items()}
  tracks = [(_boxes(scan), _boxes(every)) for scan, every in zip(scans, detections, strict=True)]
  agreement = [overlap(a, b[None])[0] for ours, theirs in tracks for a, b in zip(ours, theirs, strict=True)]
  return rates | {
    'faces_ratio': min(seconds['every_frame']) / min(seconds['surveyed']),
    'agreement': float(np.mean(agreement)),
  }


def _timed(seconds: list[float], paths: list[Path], work: Callable[[Path], Result]) -> list[Result]:
  """Returns the work's result for each path, and appends its CPU seconds."""
  begin = time.process_time()
  results = [work(path) for path in paths]
  seconds.append(time.process_time() - begin)
  return results


def _detect_in_every_frame(path: Path, find: Detect) -> VideoScan:
  result = VideoScan(probe(path))
  for moment, frame in read_timed(path):
    result.times.append(moment)
    result.faces.append(find(frame))
  return result


def _boxes(scan: VideoScan) -> np.ndarray:
  """The most prominent person's box in each frame, (n, 5); the nearest one in frames before and after the track."""
  people = track_faces(scan.faces, [], scan.info.rate, (scan.info.width, scan.info.height))
  person = max(people, key=lambda person: person.prominence)
  indices = np.arange(len(scan.times)) - person.first
  return person.boxes[np.clip(indices, 0, len(person.boxes) - 1)]


def _film(directory: Path, number: int, side: int) -> Path:
  clip = draw_clip(0, 'train', number, 0, CLIP_SECONDS)
  sound = directory / 'sound.wav'
  write_speech(sound, clip.audio)
  path = directory / f'{side}-{number}.mp4'
  with write_video(path, VideoInfo(side, side, Fraction(25)), sound) as write:
    for frame in clip.scene(min(side, MAX_RENDERED_PIXELS)):
      write(frame if len(frame) == side else cv2.resize(frame, (side, side), interpolation=cv2.INTER_CUBIC))
  return path


if __name__ == '__main__':
  define_flags()
  cli.run(main)
