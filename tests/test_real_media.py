"""Dubs and a corpus of real people, as whole flows, checked for all that a viewer would notice.

LIPSYNC_REAL_MEDIA names the clips and LIPSYNC_YUNET the detector. The generator has trained for two steps, which is the
hard case: whatever it paints, the result must still show a face.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from runs import ROOT, tiny_config

from data_pipeline import input as data
from data_pipeline.preparation import store
from lpips_jax.dubbing import dub
from lpips_jax.dubbing.selection import FollowOne, follow
from lpips_jax.faces.detect import make_detector
from lpips_jax.media.playback import PlayedFrame, play_there_and_back
from lpips_jax.media.speech import load_speech
from lpips_jax.media.video_reader import probe, read_frames
from lpips_jax.media.ycbcr import Planes, to_rgb

pytestmark = [
  pytest.mark.slow,  # real films are what these tests are about
  pytest.mark.skipif(
    not {'LIPSYNC_REAL_MEDIA', 'LIPSYNC_YUNET'} <= set(os.environ),
    reason='LIPSYNC_REAL_MEDIA and LIPSYNC_YUNET do not name the clips and the detector',
  ),
]


@pytest.mark.parametrize(
  ('face', 'audio', 'rate'),
  [
    ('ls1.mp4', 'radio.wav', Fraction(25)),
    ('vr4.mp4', 'vr_speech.wav', Fraction(30)),
    ('still.png', 'radio.wav', Fraction(25)),
  ],
)
def test_a_dub_is_what_a_viewer_would_accept(tmp_path, trained_checkpoint, face, audio, rate):
  media = Path(os.environ['LIPSYNC_REAL_MEDIA'])
  face, audio = media / face, media / audio
  if not face.exists():
    face = tmp_path / 'still.png'
    cv2.imwrite(str(face), next(read_frames(media / 'vr5.mp4'))[..., ::-1])
  output = tmp_path / 'dubbed.mp4'
  dub(face, audio, output, trained_checkpoint)

  source, result = probe(face), probe(output)
  assert (result.width, result.height, result.rate) == (source.width, source.height, rate)
  speech = load_speech(audio)
  assert abs(result.frames / rate - len(speech) / 16000) <= 1 / rate
  assert best_correlation(load_speech(output), speech) >= 0.95
  found, quality = compare(face, output)
  assert np.mean(found) >= 0.99
  assert min(quality) >= 38


def test_noise_does_not_shake_the_box():
  media = Path(os.environ['LIPSYNC_REAL_MEDIA'])
  info = probe(media / 'vr5.mp4')
  still = next(play_there_and_back(media / 'vr5.mp4', info)).planes
  rng = np.random.default_rng(0)

  def noisy() -> Iterator[PlayedFrame]:
    for k in range(60):
      samples = still.samples + rng.normal(0, 4, still.samples.shape)
      yield PlayedFrame(k, Fraction(k, 25), Planes(np.clip(samples, 0, 255).astype(np.uint8), still.colours))

  boxes = np.concatenate([boxes for _, boxes in follow(noisy(), make_detector('yunet'), info, FollowOne())]).reshape(
    60, 5
  )
  assert ((boxes[:, :2] + boxes[:, 2:4]) / 2).std(axis=0).max() < 0.25
  assert np.ptp(boxes[:, 4]) == 0


def best_correlation(heard: np.ndarray, speech: np.ndarray, reach: int = 800) -> float:
  """Returns the best correlation of two sounds that are shifted against each other by at most 50 ms."""
  middle = speech[reach : min(len(speech), len(heard)) - reach]
  shifted = (heard[shift : shift + len(middle)] for shift in range(0, 2 * reach, 4))
  return max(np.corrcoef(part, middle)[0, 1] for part in shifted)


def compare(face: Path, output: Path) -> tuple[list[bool], list[float]]:
  """Compares a dub with its source.

  Returns:
    For each frame, whether a face is found in it; for every fifth, the PSNR outside the source's box grown by 10 %.
  """
  find = make_detector('yunet')
  found, quality = [], []
  source = play_there_and_back(face, probe(face))
  for k, (dubbed, shown) in enumerate(zip(read_frames(output), source, strict=False)):
    found.append(len(find(dubbed)) > 0)
    if k % 5:
      continue
    original = to_rgb(shown.planes)[: dubbed.shape[0], : dubbed.shape[1]]
    left, top, right, bottom, *_ = max(find(original), key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))
    grow_x, grow_y = 0.05 * (right - left), 0.05 * (bottom - top)
    outside = np.ones(original.shape[:2], bool)
    rows = slice(max(0, int(top - grow_y)), max(0, int(bottom + grow_y)))
    outside[rows, max(0, int(left - grow_x)) : max(0, int(right + grow_x))] = False
    error = (dubbed.astype(np.float32) - original)[outside]
    quality.append(10 * np.log10(255**2 / np.mean(np.square(error))))
  return found, quality


def test_own_videos_become_a_corpus(tmp_path):
  """Each clip is one track of one person from its first to its last frame, and training can read them."""
  media = Path(os.environ['LIPSYNC_REAL_MEDIA'])
  prepared = tmp_path / 'prepared'
  options = f'--source={media}', f'--output={prepared}', '--layout=folder', '--workers=2'
  subprocess.run([sys.executable, '-m', 'data_pipeline.preprocess', *options], check=True, cwd=ROOT)
  assert (prepared / 'rejected.csv').read_text() == 'clip,reason\n'
  clips = [clip for clips in store.read_splits(prepared).values() for clip in clips]
  assert len(clips) == len(list(media.glob('*.mp4')))
  for clip in clips:
    summary = store.read_summary(prepared, clip)
    [record] = summary.records
    assert record['frames'] / 25 >= 0.98 * summary.seconds

  options = 'data_pipeline/corpora/folder', f'--manual_dir={prepared}', f'--data_dir={tmp_path}'
  subprocess.run([sys.executable, '-m', 'data_pipeline.build', *options], check=True, cwd=ROOT)
  config = tiny_config('generator', tmp_path)
  config.data.update(name='folder', data_dir=str(tmp_path))
  batch = next(data.train_batches(config))
  assert batch['target'].shape == (2, 5, 32, 32, 3) and batch['skipped'].sum() == 0
