"""AV-HuBERT: its modalities, its padding, and the sizes of its papers. Its numbers: tests/interop/test_av_hubert.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy_layers import perturbed

from lpips_jax.models.av_hubert import AVHubert

SMALL = AVHubert(
  mouth_size=12,
  stem_width=3,
  stem_kernel=3,
  lip_widths=(3, 4),
  lip_depths=(1, 1),
  width=8,
  layers=1,
  heads=2,
  hidden=12,
  position_kernel=4,
  position_groups=2,
)
RNG = np.random.default_rng(0)
SPEECH = RNG.standard_normal((2, 6, 104)).astype(np.float32)
CROPS = RNG.integers(0, 256, (2, 6, 24, 24, 3), dtype=np.uint8)


@pytest.fixture(scope='module')
def variables():
  return perturbed(jax.jit(SMALL.init)(jax.random.key(0), SPEECH, CROPS))


def test_absent_modalities_are_zeros_behind_the_projections(variables):
  @jax.jit
  def features(variables):
    heard = SMALL.apply(variables, SPEECH, method='hear')
    seen = SMALL.apply(variables, CROPS, method='see')
    by_hand = [(heard, jnp.zeros_like(seen)), (jnp.zeros_like(heard), seen), (heard, seen)]
    called = [SMALL.apply(variables, *given) for given in ((SPEECH, None), (None, CROPS), (SPEECH, CROPS))]
    return called, [SMALL.apply(variables, *given, method='fuse') for given in by_hand]

  called, by_hand = features(variables)
  for one, other in zip(called, by_hand, strict=True):
    np.testing.assert_allclose(one, other, atol=1e-6)
  assert called[0].shape == (2, 6, 8)
  assert all(np.abs(alone - called[2]).max() > 1e-4 for alone in called[:2])


def test_padding_changes_nothing(variables):
  length = np.array([6, 4])
  speech, crops = SPEECH.copy(), CROPS.copy()
  speech[1, 4:], crops[1, 4:] = 9, 255
  found = jax.jit(SMALL.apply)(variables, speech, crops, length)
  np.testing.assert_allclose(found[1, :4], jax.jit(SMALL.apply)(variables, SPEECH[1:, :4], CROPS[1:, :4])[0], atol=1e-5)


def test_something_has_to_be_given(variables):
  with pytest.raises(ValueError, match='give speech'):
    SMALL.apply(variables, None, None)


def test_one_that_predicts_clusters_extracts_features_as_the_same_without(variables):
  module = SMALL.clone(clusters=5)
  with_clusters = jax.jit(module.init)(jax.random.key(0), SPEECH, CROPS)
  assert with_clusters['batch_stats']['sounds']['centroids'].shape == (5, 104)
  kept = {name: {key: with_clusters[name][key] for key in variables[name]} for name in variables}
  found, expected = (jax.jit(x.apply)(y, SPEECH, None) for x, y in ((module, with_clusters), (SMALL, kept)))
  np.testing.assert_array_equal(found, expected)
  masked = np.zeros((2, 6), bool)
  masked[0, 2] = True
  without = module.apply(with_clusters, SPEECH, masked, method='without')
  np.testing.assert_array_equal(without[0, 2], with_clusters['params']['masked_speech'])
  np.testing.assert_array_equal(without[1], SPEECH[1])


@pytest.mark.parametrize(
  ('fields', 'millions'),
  [({}, 103), ({'width': 1024, 'layers': 24, 'hidden': 4096, 'heads': 16}, 325)],
)
def test_base_and_large_have_as_many_parameters_as_published(fields, millions):
  """103 M and 325 M (arXiv 2201.02184, section 4.1), of which prediction heads, not counted here, have some."""
  module = AVHubert(**fields)
  params = jax.eval_shape(module.init, jax.random.key(0), *AVHubert.example_inputs(96))['params']
  count = sum(x.size for x in jax.tree.leaves(params)) / 1e6
  assert millions - 1.5 < count < millions
