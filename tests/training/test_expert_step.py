"""The metrics of an expert equal those that NumPy computes from the same embeddings."""

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from lpips_jax.training import expert_step

LOSSES = ConfigDict({'contrastive': 1.0, 'bce': 1.0, 'negatives': 'batch', 'hardness': 0.0, 'trust': 0.0})
MINIMUM_OFFSET = 3
WINDOWS = 4


class TenTimes:
  """An expert whose log-odds are ten times the cosine, plus a half."""

  def apply(self, variables, cosines, method):
    return 10 * cosines + 0.5


def measured(start):
  rng = np.random.default_rng(0)
  faces, speech = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in rng.standard_normal((2, start.size, 6)))
  expert = TenTimes(), LOSSES, MINIMUM_OFFSET
  found = jax.jit(lambda: expert_step.expert_metrics(*expert, {}, (faces, speech), {'start': start}))()
  return {name: float(value) for name, value in found.items()}, 10 * faces @ speech.T + 0.5


def test_accuracy_and_ranking():
  start = np.array([[0, 2, 3, 9], [0, 1, 5, 6]])
  found, logits = measured(start)
  hits = [logits[k, k] > 0 for k in range(8)]
  rejected, ranked = [], []
  for a in range(8):
    for b in range(8):
      if a // WINDOWS == b // WINDOWS and abs(start.flat[a] - start.flat[b]) >= MINIMUM_OFFSET:
        rejected.append(logits[a, b] <= 0)
        ranked.append(logits[a, b] < logits[a, a])
  assert len(rejected) == 16
  assert found['accuracy'] == pytest.approx((np.mean(hits) + np.mean(rejected)) / 2)
  assert found['ranking'] == pytest.approx(np.mean(ranked))


def test_clips_too_short_to_have_off_sync_pairs_are_measured_as_well():
  found, logits = measured(np.array([[0, 1, 2, 2], [0, 0, 1, 1]]))
  assert found['accuracy'] == pytest.approx(np.mean(np.diagonal(logits) > 0) / 2) and found['ranking'] == 0
  assert all(np.isfinite(value) for value in found.values())
