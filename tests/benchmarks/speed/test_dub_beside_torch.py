"""Both sides dub the same film, and give the same images for the same faces."""

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from benchmarks.speed import dub_beside_torch, films, sequential, side_by_side
from benchmarks.speed.dub_beside_torch import IN_OUR_ENGINE, Dub
from benchmarks.speed.generator import Frames
from benchmarks.speed.side_by_side import OURS
from lpips_jax.core.errors import UserError
from lpips_jax.media.video_reader import probe, read_frames

ROWS = 'released_recipe', 'eager_float32'


@pytest.fixture
def dub(tmp_path):
  speech = films.speech(tmp_path / 'speech.wav', 2, 2)
  face = films.film(tmp_path / 'face.mp4', 192, 160, 1)
  return Dub(face, speech, tmp_path, Frames(32, 4, tiny=True), 'cascade', None)


@pytest.mark.slow
def test_both_sides_dub_the_same(dub, monkeypatch):
  assert sequential.frames_to_dub(dub.face, dub.audio) == 25  # the film is the shorter
  config = dub.network.config()
  config.model.update(blocks=1, bottleneck=1)  # compiled sooner
  monkeypatch.setattr(Frames, 'config', lambda self: config)
  side = dub_beside_torch.ours(dub)
  names = [*ROWS, ROWS[-1] + IN_OUR_ENGINE]
  theirs = dub_beside_torch.reference(dub, side.weights, names, 'default')
  expected = side.contenders[OURS].outputs()
  assert expected['images'].std() > 0.01
  source = np.stack(list(read_frames(dub.face))).astype(float)
  boxes = sequential.find_boxes(list(read_frames(dub.face)), dub.detector(), probe(dub.face)).round().astype(int)
  for name in names:
    assert side_by_side.difference(expected, theirs.contenders[name].outputs()) < 1e-3
    dubbed = np.stack(list(read_frames(dub.output(name))))
    mouths = [
      np.abs(new - old)[(top + bottom) // 2 : bottom, left:right].mean()
      for new, old, (left, top, right, bottom) in zip(dubbed, source, boxes[:, :4], strict=True)
    ]
    assert min(mouths) > 4, name  # of 255: every mouth is generated, as encoding alone changes less


def test_boxes_are_compared(dub, monkeypatch):
  apart = dub_beside_torch.edges_apart(dub, 12, ROWS)
  assert apart.keys() == {480, sequential.FULL_SIZE} and max(apart.values()) < 0.02
  moved = sequential.find_boxes
  monkeypatch.setattr(sequential, 'find_boxes', lambda *inputs: moved(*inputs) + 20.0)
  with pytest.raises(UserError, match='not the same work'):
    dub_beside_torch.edges_apart(dub, 12, ROWS)
