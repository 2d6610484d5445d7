"""The lip reader: what it returns, what padding does to it, and what its features are."""

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from benchmarks.random_weights import with_statistics
from lpips_jax import models
from lpips_jax.audio.alphabets import ALPHABETS
from lpips_jax.models.initialise import init_variables

CONFIG = ConfigDict(
  {
    'name': 'lip_reader',
    'image_size': 32,
    'alphabet': 'visemes',
    'mouth_size': 24,
    'stem_width': 4,
    'stem_kernel': 3,
    'lip_widths': (4, 8),
    'lip_depths': (1, 1),
    'width': 8,
    'layers': 1,
    'heads': 2,
    'hidden': 16,
    'position_kernel': 5,
    'position_groups': 2,
    'dropout': 0.5,
    'dtype': 'float32',
  }
)
FRAMES = np.random.default_rng(0).integers(256, size=(2, 9, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope='module')
def reader():
  module = models.build(CONFIG)
  return module, with_statistics(init_variables(module, CONFIG, 0))


@pytest.fixture(scope='module')
def read(reader):
  module, variables = reader
  return jax.jit(lambda frames, length=None: module.apply(variables, frames, length))


def test_log_odds_of_every_symbol_for_every_frame(read):
  logits = read(FRAMES)
  assert logits.shape == (2, 9, len(ALPHABETS['visemes'])) and logits.dtype == np.float32
  np.testing.assert_allclose(read(FRAMES.astype(np.float32) / 255), logits, atol=1e-5)


def test_padding_does_not_change_the_frames_before_it(read):
  alone = read(FRAMES[:, :6])
  for rest in (0, 255):
    padded = FRAMES.copy()
    padded[:, 6:] = rest
    np.testing.assert_allclose(read(padded, np.array([6, 6]))[:, :6], alone, atol=1e-5)
  padded = read(FRAMES, np.array([9, 6]))
  np.testing.assert_allclose(padded[0], read(FRAMES)[0], atol=1e-5)
  assert np.abs(read(FRAMES)[1, :6] - alone[1]).max() > 1e-3  # frames that are real do
  assert np.all(np.isfinite(read(FRAMES, np.array([9, 0]))))


def test_features_are_those_of_the_whole_clip_and_of_five_frames(reader):
  module, variables = reader
  changed = FRAMES.copy()
  changed[:, 0] = 255 - changed[:, 0]
  of_clip, of_lips = module.apply(variables, FRAMES, method='features')
  new_of_clip, new_of_lips = module.apply(variables, changed, method='features')
  assert of_clip.shape == of_lips.shape == (2, 9, 8)
  np.testing.assert_allclose(new_of_lips[:, 3:], of_lips[:, 3:], atol=1e-5)
  assert np.abs(new_of_lips - of_lips)[:, :3].max((0, 2)).min() > 1e-4
  assert np.abs(new_of_clip - of_clip).max((0, 2)).min() > 1e-5
  head = variables['params']['head']
  logits = module.apply(variables, FRAMES)
  np.testing.assert_allclose(np.asarray(of_clip) @ head['kernel'] + head['bias'], logits, atol=1e-5)


def test_training_drops_features_and_moves_statistics(reader):
  module, variables = reader
  logits = []
  for seed in range(2):
    y, new = module.apply(
      variables, FRAMES, None, True, mutable=['batch_stats'], rngs={'dropout': jax.random.key(seed)}
    )
    logits.append(y)
  assert np.abs(logits[0] - logits[1]).max() > 1e-3
  moved = jax.tree.map(lambda a, b: not np.array_equal(a, b), new['batch_stats'], variables['batch_stats'])
  assert all(jax.tree.leaves(moved))
