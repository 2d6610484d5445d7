"""The audio-visual expert's loss: what it compares, that places give nothing away, and that padding does not count."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from lpips_jax.models.av_hubert import AVHubert
from lpips_jax.training import av_expert_step
from lpips_jax.training.av_expert_step import Cuts, cosines, cut, draw_cuts, pairs, ranking, spans

FRAMES, REACH, OFFSET = 40, 12, 3
LENGTH = jnp.array([40, 40, 31, 20, 7])
LOSSES = ConfigDict({'masked': 1.0, 'contrastive': 1.0, 'temperature': 0.1, 'shift': 4})
MODEL = AVHubert(
  mouth_size=12,
  stem_width=3,
  stem_kernel=3,
  lip_widths=(4,),
  lip_depths=(1,),
  width=8,
  layers=1,
  heads=2,
  hidden=8,
  position_kernel=3,
  position_groups=1,
  clusters=4,
)


def many_cuts(count=400):
  keys = jax.random.split(jax.random.key(0), count)
  return jax.vmap(lambda key: draw_cuts(key, LENGTH, FRAMES, REACH)[:2])(keys)


def test_stretches_are_as_often_any_number_of_frames_apart():
  heard, seen = (np.asarray(x) for x in many_cuts(2000))
  apart = heard - seen
  assert heard.min() >= 0 and seen.min() >= 0 and (np.maximum(heard, seen) <= REACH).all()
  for clip, most in enumerate((12, 12, 10, 6, 2)):
    assert set(apart[:, clip]) == set(range(-most, most + 1))
  counts = np.bincount(apart[:, 0] + REACH)
  assert counts.min() > 0.5 * counts.mean() and counts.max() < 1.5 * counts.mean()
  assert len(set(np.minimum(heard, seen)[:, 0])) == REACH + 1


def test_cuts_are_slices():
  x = jnp.arange(24.0).reshape(2, 6, 2)
  np.testing.assert_array_equal(cut(x, jnp.array([0, 3]), 3), [x[0, :3], x[1, 3:]])


def test_pairs_are_those_that_any_stretches_could_have_had():
  cuts = Cuts(jnp.array([5, 0]), jnp.array([2, 3]), 20, 8)
  length = np.array([40, 15])
  in_sync, off_sync = pairs(cuts, jnp.asarray(length), OFFSET, 5)
  assert in_sync.shape == (2, 16, 16)
  for b, i, j in np.ndindex(2, 16, 16):
    heard, seen = i + int(cuts.heard[b]), j + int(cuts.seen[b])
    there = max(heard, seen) + 5 <= length[b]
    assert bool(in_sync[b, i, j]) == (there and heard == seen)
    assert bool(off_sync[b, i, j]) == (there and abs(heard - seen) >= OFFSET and abs(i - j) <= 8)


def ranked(features, draws=60):
  """The mean ranking of features of speech and lips, given the time in the clip and the place in the stretch."""

  @jax.jit
  def one(key):
    cuts = draw_cuts(key, LENGTH, FRAMES, REACH)
    places = jnp.arange(cuts.frames)
    heard, seen = (features[kind](places + first[:, None], places) for kind, first in enumerate(cuts[:2]))
    return ranking(heard, seen, cuts, LENGTH, OFFSET)['ranking']

  keys = jax.random.split(jax.random.key(1), draws)
  return float(np.mean([one(key) for key in keys]))


def test_who_knows_the_time_ranks_all_pairs_right_and_who_knows_the_place_none():
  codes = jax.random.normal(jax.random.key(2), (2, FRAMES, 64))

  def by_time(time, place):
    return codes[0][time]

  def by_place(time, place):
    return jnp.broadcast_to(codes[0][place], (*time.shape, 64))

  def other(time, place):
    return codes[1][time]

  assert ranked((by_time, by_time)) == 1
  assert ranked((by_place, by_place)) == pytest.approx(0.5, abs=0.1)
  assert ranked((by_time, other)) == pytest.approx(0.5, abs=0.1)


def test_ranking_equals_that_of_plain_loops():
  rng = np.random.default_rng(0)
  heard, seen = rng.standard_normal((2, 2, 20, 6)).astype(np.float32)
  cuts = Cuts(jnp.array([5, 0]), jnp.array([2, 3]), 20, 8)
  length = np.array([40, 15])
  found = ranking(jnp.asarray(heard), jnp.asarray(seen), cuts, jnp.asarray(length), OFFSET)
  in_sync, off_sync = (np.asarray(x) for x in pairs(cuts, jnp.asarray(length), OFFSET, 5))

  def alike(b, i, j):
    x, y = heard[b, i : i + 5].mean(0), seen[b, j : j + 5].mean(0)
    return x @ y / np.linalg.norm(x) / np.linalg.norm(y)

  below = [
    alike(b, i, j) < alike(b, i, in_sync[b, i].argmax())
    for b, i, j in np.ndindex(2, 16, 16)
    if off_sync[b, i, j] and in_sync[b, i].any()
  ]
  assert float(found['ranking']) == pytest.approx(np.mean(below))
  own = [alike(*place) for place in np.argwhere(in_sync)]
  assert float(found['in_sync']) == pytest.approx(np.mean(own), rel=1e-4)
  np.testing.assert_allclose(cosines(heard, heard)[:, 3, 3], 1, rtol=1e-5)


def test_spans_cover_their_share():
  found = np.asarray(spans(jax.random.key(0), (200, 100), 0.8, 10))
  assert found[:, 20:].mean() == pytest.approx(1 - (1 - 0.08) ** 10, abs=0.03)
  edges = np.diff(np.pad(found, ((0, 0), (1, 1))).astype(int))
  lengths = np.concatenate([np.flatnonzero(row == -1) - np.flatnonzero(row == 1) for row in edges])
  ends_early = np.concatenate([np.flatnonzero(row == -1) == 100 for row in edges])
  assert lengths[~ends_early].min() == 10


def batch():
  rng = np.random.default_rng(0)
  return {
    'frames': rng.integers(0, 256, (2, 14, 24, 24, 3), dtype=np.uint8),
    'sound': rng.standard_normal((2, 14, 104)).astype(np.float32),
    'length': np.array([14, 11], np.int32),
  }


@pytest.fixture(scope='module')
def variables():
  return jax.jit(MODEL.init)(jax.random.key(0), jnp.zeros((1, 6, 104)), jnp.zeros((1, 6, 24, 24, 3)))


@pytest.mark.slow
def test_every_part_of_the_network_learns_and_statistics_follow(variables):
  params, stats = variables['params'], variables['batch_stats']
  loss = partial(av_expert_step.expert_loss, MODEL, LOSSES, OFFSET, True)
  gradient, measured = jax.jit(jax.grad(loss, has_aux=True))(params, stats, batch(), jax.random.key(1))
  still = [
    jax.tree_util.keystr(path) for path, x in jax.tree_util.tree_leaves_with_path(gradient) if not np.abs(x).max() > 0
  ]
  assert still == ["['transformer']['block_0']['attention']['key']['bias']"] or not still
  assert np.abs(measured.batch_stats['sounds']['centroids']).max() > 0
  assert np.abs(measured.batch_stats['lips']['stem_norm']['mean'] - stats['lips']['stem_norm']['mean']).max() > 0
  total = measured.metrics['masked'] + measured.metrics['contrastive']
  np.testing.assert_allclose(measured.metrics['loss'], total, rtol=1e-6)


@pytest.mark.slow
def test_padding_counts_for_nothing(variables):
  evaluate = jax.jit(av_expert_step.make_evaluation(MODEL, ConfigDict({'losses': LOSSES, 'minimum_offset': OFFSET})))
  one, other = batch(), batch()
  other['frames'][1, 11:], other['sound'][1, 11:] = 7, 7
  found = [evaluate(variables, x, {}) for x in (one, other)]
  for name, value in found[0][0].items():
    np.testing.assert_allclose(value, found[1][0][name], atol=1e-5, err_msg=name)
  assert found[0][1] == {} and {'loss', 'accuracy', 'ranking'} <= set(found[0][0])
