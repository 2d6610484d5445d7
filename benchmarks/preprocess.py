"""Video frames a second and core that preparation takes in, and what looking for faces costs in it.

  python -m benchmarks.preprocess --output=preprocess.json

Clips of the embedded corpus, 25 frames a second, h264 and AAC, are prepared in this process, by one core, at LRS2's
size and at 720 pixels. Beside it: finding the faces alone, by `faces.scan`, and by the same detector on every frame
at full size, in the same run; `agreement` is the mean intersection over union of the two tracks.
"""

import json
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from absl import flags
from tqdm import tqdm

from data_pipeline.corpora.talking_faces.clips import draw_clip
from data_pipeline.preparation.cutting import CutSettings, cut
from data_pipeline.preparation.layouts import RawClip
from lpips_jax.core import cli
from lpips_jax.core.files import write_whole
from lpips_jax.faces.boxes import overlap
from lpips_jax.faces.detect import Detect, choose_detector, make_detector
from lpips_jax.faces.scan import VideoScan, scan_video
from lpips_jax.faces.tracks import track_faces
from lpips_jax.media.speech import write_speech
from lpips_jax.media.video_reader import VideoInfo, probe, read_timed
from lpips_jax.media.video_writer import write_video

SIDES = 160, 720
CLIPS, SECONDS = 6, 4
RENDERED = 256  # pixels: larger pictures are enlarged


def define_flags() -> None:
  flags.DEFINE_string('output', None, 'Writes the figures there as JSON, too.')
  flags.DEFINE_string('detector', 'auto', 'yunet, cascade, or auto: the first of them that can be had.')
  flags.DEFINE_string('detector_model', None, "YuNet's file; else LIPSYNC_YUNET, else a download.")
  flags.DEFINE_integer('rounds', 3, 'How often everything is measured; the quickest counts.', lower_bound=1)


def main() -> None:
  given = flags.FLAGS
  cv2.setNumThreads(1)
  kind, model = choose_detector(given.detector, given.detector_model)
  figures = {'detector': kind}
  with tempfile.TemporaryDirectory() as temporary:
    for side in SIDES:
      paths = [_film(Path(temporary), number, side) for number in range(CLIPS)]
      figures[f'{side}_pixels'] = _measure(paths, make_detector(kind, model), make_detector(kind, model, 10_000), given)
  print(json.dumps(figures, indent=2))
  if given.output:
    write_whole(Path(given.output), json.dumps(figures, indent=2) + '\n')


def _measure(paths: list[Path], find: Detect, find_at_full_size: Detect, given: flags.FlagValues) -> dict[str, float]:
  seconds = {'prepared': [], 'surveyed': [], 'every_frame': []}
  for _ in tqdm(range(given.rounds), 'rounds', leave=False, disable=None):
    for name, work in {
      'prepared': lambda path: cut(RawClip(path.stem, 'who', 'train', path), find, CutSettings()),
      'surveyed': lambda path: scan_video(path, find),
      'every_frame': lambda path: _every_frame(path, find_at_full_size),
    }.items():
      begin = time.process_time()
      results = [work(path) for path in paths]
      seconds[name].append(time.process_time() - begin)
      if name == 'surveyed':
        surveys = results
  frames = sum(len(seen.times) for seen in surveys)
  rates = {f'{name}_frames_per_second_and_core': frames / min(values) for name, values in seconds.items()}
  tracks = [[_boxes(one) for one in (seen, every)] for seen, every in zip(surveys, results, strict=True)]
  agreement = [overlap(a, b[None])[0] for ours, theirs in tracks for a, b in zip(ours, theirs, strict=True)]
  return rates | {
    'faces_ratio': min(seconds['every_frame']) / min(seconds['surveyed']),
    'agreement': float(np.mean(agreement)),
  }


def _every_frame(path: Path, find: Detect) -> VideoScan:
  result = VideoScan(probe(path))
  for moment, frame in read_timed(path):
    result.times.append(moment)
    result.faces.append(find(frame))
  return result


def _boxes(seen: VideoScan) -> np.ndarray:
  people = track_faces(seen.faces, [], seen.info.rate, (seen.info.width, seen.info.height))
  person = max(people, key=lambda person: person.prominence)
  everything = np.arange(len(seen.times)) - person.first
  return person.boxes[np.clip(everything, 0, len(person.boxes) - 1)]


def _film(directory: Path, number: int, side: int) -> Path:
  clip = draw_clip(0, 'train', number, 0, SECONDS)
  sound = directory / 'sound.wav'
  write_speech(sound, clip.audio)
  path = directory / f'{side}-{number}.mp4'
  with write_video(path, VideoInfo(side, side, Fraction(25)), sound) as write:
    for frame in clip.scene(min(side, RENDERED)):
      write(frame if len(frame) == side else cv2.resize(frame, (side, side), interpolation=cv2.INTER_CUBIC))
  return path


if __name__ == '__main__':
  define_flags()
  cli.run(main)
