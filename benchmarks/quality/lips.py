"""Scores for dubs of real people by MediaPipe's face mesh, which the project itself does not use.

  python3 -m venv judge && judge/bin/pip install mediapipe==0.10.21      # apart, as it needs an older NumPy
  python infer.py --jobs=jobs.csv --checkpoint=runs/demo/checkpoint
  judge/bin/python -m benchmarks.quality.lips jobs.csv

The job list names the film and the speech of each dub. If face and audio are one file, the speech is the film's own,
and the mouth should move as it was filmed; with foreign speech it should not. The opening of a mouth is the distance of
the inner lips over the distance of the eyes' outer corners. Frames are paired by number.

  own: correlation of the openings in dub and film, for dubs with the film's own speech
  film: the same for dubs with foreign speech, whose mouths should not follow the film: the mean, and as `most` the
    maximum
  same: correlation between dubs of different people with the same foreign speech, at the same frame rate
  motion: standard deviation of the opening, over that of the film; this and the rest are for dubs with own speech
  lips: mean distance of the lips' 40 points from their filmed positions, with the eyes aligned, in % of the eyes'
    distance
  sharpness: variance of the Laplacian around the mouth, over that of the film
"""

import argparse
import csv
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np

UPPER_LIP, LOWER_LIP = 13, 14  # mesh points in the middle of their inner edges
EYES = [33, 263]  # mesh points at their outer corners
MESH_POINTS = 478
MAX_MESH_SIDE = 900  # pixels of the longer side of frames given to the mesh
MIN_CORRELATED_FRAMES = 10


class Film(NamedTuple):
  """The mouth in each of the n frames of a film.

  Attributes:
    rate: frame rate.
    openings: (n,), over the distance of the eyes; NaN without a face.
    lips: (n, 40, 2), with the middle of the eyes as origin and their distance as unit; NaN without a face.
    sharpness: (n,), variance of the Laplacian around the mouth; NaN without a face.
  """

  rate: float
  openings: np.ndarray
  lips: np.ndarray
  sharpness: np.ndarray


class Dub(NamedTuple):
  """A dub and its film.

  Attributes:
    path: the job's output.
    film: mouths in the film.
    made: mouths in the dub.
    speech: the job's audio; None if it is the film's own.
  """

  path: str
  film: Film
  made: Film
  speech: str | None


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('jobs', help='CSV file with the columns face, audio and output.')
  seen: dict[str, Film] = {}
  dubs = []
  with open(parser.parse_args().jobs, newline='', encoding='utf-8-sig') as file:
    for job in csv.DictReader(file):
      for path in (job['face'], job['output']):
        if path not in seen:
          seen[path] = track_mouth(path)
      own = job['audio'] == job['face']
      dubs.append(Dub(job['output'], seen[job['face']], seen[job['output']], None if own else job['audio']))
      print(f'{job["output"]}: {"own" if own else "film"} {correlation(*_openings(dubs[-1])):.2f}', flush=True)
  for name, value in score(dubs).items():
    print(f'{name:12}{value:8.3f}')


def score(dubs: Iterable[Dub]) -> dict[str, float]:
  """Returns the measures that these dubs allow, by the names in the module's docstring."""
  own = [dub for dub in dubs if dub.speech is None]
  by_speech = defaultdict(list)
  for dub in dubs:
    if dub.speech is not None:
      by_speech[dub.speech].append(dub)
  film = [correlation(*_openings(dub)) for group in by_speech.values() for dub in group]
  same = [
    correlation(a.made.openings, b.made.openings)
    for group in by_speech.values()
    for a, b in itertools.combinations(group, 2)
    if a.made.rate == b.made.rate and a.film is not b.film
  ]
  found: dict[str, list[float]] = {
    'own': [correlation(*_openings(dub)) for dub in own],
    'film': film,
    'most': [max(film)] if film else [],
    'same': same,
    'motion': [np.nanstd(dub.made.openings) / np.nanstd(dub.film.openings) for dub in own],
    'lips': [100 * _mean_distance(dub.made.lips, dub.film.lips) for dub in own],
    'sharpness': [np.nanmean(dub.made.sharpness) / np.nanmean(dub.film.sharpness) for dub in own],
  }
  return {name: float(np.mean(values)) for name, values in found.items() if values}


def track_mouth(path: str) -> Film:
  """Measures the mouth in each frame of a video."""
  capture = cv2.VideoCapture(path)
  if not capture.isOpened():
    raise SystemExit(f'{path} is not a readable video')
  rate = capture.get(cv2.CAP_PROP_FPS)
  from mediapipe.python.solutions import face_mesh

  mouth = sorted({point for edge in face_mesh.FACEMESH_LIPS for point in edge})
  openings, lips, sharpness = [], [], []
  with face_mesh.FaceMesh(refine_landmarks=True, min_detection_confidence=0.3) as mesh:
    for frame in _frames(capture):
      points = _points(mesh, frame)
      upright = aligned_by_eyes(points)
      openings.append(np.linalg.norm(upright[UPPER_LIP] - upright[LOWER_LIP]))
      lips.append(upright[mouth])
      sharpness.append(sharpness_around(frame, points[mouth]))
  return Film(round(rate, 2), np.array(openings), np.array(lips), np.array(sharpness))


def correlation(a: np.ndarray, b: np.ndarray) -> float:
  """Pearson's correlation over frames with a face in both; 0 if these are too few or one mouth does not move."""
  n = min(len(a), len(b))
  both = np.isfinite(a[:n]) & np.isfinite(b[:n])
  a, b = a[:n][both], b[:n][both]
  if len(a) < MIN_CORRELATED_FRAMES or min(a.std(), b.std()) < 1e-6:
    return 0.0
  return float(np.corrcoef(a, b)[0, 1])


def _openings(dub: Dub) -> tuple[np.ndarray, np.ndarray]:
  return dub.made.openings, dub.film.openings


def _mean_distance(a: np.ndarray, b: np.ndarray) -> float:
  n = min(len(a), len(b))
  return float(np.nanmean(np.linalg.norm(a[:n] - b[:n], axis=-1)))


def _frames(capture: cv2.VideoCapture) -> Iterator[np.ndarray]:
  """The frames, (h, w, 3) uint8 BGR."""
  while (read := capture.read())[0]:
    yield read[1]


def _points(mesh: Any, frame: np.ndarray) -> np.ndarray:
  """The mesh points in pixels, (478, 2), NaN without a face."""
  height, width = frame.shape[:2]
  scale = min(1.0, MAX_MESH_SIDE / max(height, width))
  small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else frame
  faces = mesh.process(cv2.cvtColor(small, cv2.COLOR_BGR2RGB)).multi_face_landmarks
  if not faces:
    return np.full((MESH_POINTS, 2), np.nan)
  return np.array([(point.x * width, point.y * height) for point in faces[0].landmark])


def aligned_by_eyes(points: np.ndarray) -> np.ndarray:
  """Returns mesh points with the middle of the eyes as origin, their distance as unit, and both eyes level."""
  x, y = points.T
  plane = x + 1j * y
  left, right = plane[EYES]
  aligned = (plane - (left + right) / 2) / (right - left)
  return np.stack([aligned.real, aligned.imag], axis=-1)


def sharpness_around(frame: np.ndarray, lips: np.ndarray) -> float:
  """Returns the variance of the Laplacian around the lips; NaN without a face.

  The box is 1.5 times as wide as the lips, and 0.8 times as high as it is wide.
  """
  if np.isnan(lips).any():
    return np.nan
  middle, width = lips.mean(axis=0), 1.5 * max(np.ptp(lips[:, 0]), 8)
  half = np.array([0.5, 0.4]) * width
  left, top = np.maximum(middle - half, 0).astype(int)
  right, bottom = np.maximum(middle + half, 0).astype(int)
  part = frame[top:bottom, left:right]
  return float(cv2.Laplacian(cv2.cvtColor(part, cv2.COLOR_BGR2GRAY), cv2.CV_64F).var()) if part.size else np.nan


if __name__ == '__main__':
  main()
