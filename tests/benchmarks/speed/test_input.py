"""All loaders read the same windows, and rates are summarised by clips and loader."""

import numpy as np
import pytest

pytest.importorskip('torch')
pytest.importorskip('librosa')

from benchmarks.speed import input as benchmark
from benchmarks.speed.side_by_side import OURS
from benchmarks.torch_reference import loaders
from data_pipeline.corpora.talking_faces.clips import draw_clip
from data_pipeline.records import encode_frame, make_record
from lpips_jax.core.errors import UserError

SIZE = benchmark.SIZE


def test_windows_are_the_same(tmp_path):
  drawn, clip = draw_clip(0, 'train', 0, 0, 2), tmp_path / 'clip'
  frames = list(drawn.crops(SIZE))
  record = make_record('clip', 'speaker', [encode_frame(frame) for frame in frames], drawn.audio, drawn.boxes)
  benchmark.write_their_clip(clip, frames, drawn.audio)
  loaders.store_mel(clip)
  tuned, released = loaders.tuned_item(clip, len(frames), SIZE), next(loaders.released(tmp_path, SIZE, 2, 0))
  assert [x.shape for x in tuned] == [(5, SIZE, SIZE, 3)] * 2 + [(5, 80, 16), (80, 16)]
  assert [x.shape for x in released[1:]] == [(2, 5, 1, 80, 16), (2, 1, 80, 16), (2, 3, 5, SIZE, SIZE)]
  assert released[0].shape == (2, 6, 5, SIZE, SIZE) and not released[0][:, :3, :, SIZE // 2 :].any()
  benchmark.check_window(record, clip)
  np.save(clip / loaders.MEL_FILE, loaders.mel_of(clip / 'audio.wav')[3:])
  with pytest.raises(UserError, match='not the same work'):
    benchmark.check_window(record, clip)


def test_ratios_are_over_the_loaders_of_the_same_clips():
  rates = {
    ('3 s', OURS): [90.0, 100.0, 110.0],
    ('3 s, 2 a read', OURS): [200.0, 200.0, 200.0],
    ('3 s', 'released_recipe'): [20.0, 25.0, 40.0],
    ('3 s', 'tuned'): [50.0, 80.0, 90.0],
  }
  figures = benchmark.summary(rates, 2)
  assert figures['ratio'] == pytest.approx(1.25)
  assert figures['ratios'] == pytest.approx({'released_recipe': 4.0, 'tuned': 1.25})
  best = figures['groups']['3 s']['best']['released_recipe']
  assert (best['low'], best['median'], best['high']) == (20, 25, 40)
  assert figures['per_core']['3 s, ours'] == 50
