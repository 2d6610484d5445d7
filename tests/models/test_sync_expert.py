"""The sync expert's embeddings and probabilities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from lpips_jax import models
from lpips_jax.models.initialise import init_variables
from lpips_jax.models.sync_expert import SyncExpert

CONFIG = ConfigDict(
  {
    'name': 'sync_expert',
    'image_size': 32,
    'face_widths': (4, 4, 4, 8, 8, 8, 8),
    'face_residuals': (0, 0, 0, 0, 0),
    'audio_widths': (4, 4, 8, 8, 8),
    'audio_residuals': (0, 0, 0, 0),
    'dtype': 'float32',
  }
)


def expert_and_variables(contrastive=False, **changes):
  config = ConfigDict(CONFIG.to_dict() | {'contrastive': contrastive} | changes)
  expert = models.build(config)
  return expert, init_variables(expert, config, seed=0)


def test_has_the_parameters_of_wav2lips_expert():
  """But for the biases of channels that BatchNorm has a mean and a variance of."""
  variables = jax.eval_shape(SyncExpert().init, jax.random.key(0), *SyncExpert.example_inputs(96))
  counts = {name: sum(x.size for x in jax.tree.leaves(tree)) for name, tree in variables.items()}
  assert counts['params'] + counts['batch_stats'] // 2 == 16_435_072


@pytest.mark.parametrize('speech', ['mel', 'phones'])
@pytest.mark.parametrize('contrastive', [False, True])
def test_embeddings(contrastive, speech):
  rng = np.random.default_rng(0)
  frames = rng.random((3, 5, 32, 32, 3), np.float32)
  mels = rng.standard_normal((3, 80, 16)).astype(np.float32)
  expert, variables = expert_and_variables(contrastive, speech=speech)
  apply = jax.jit(expert.apply)
  faces, heard = apply(variables, frames, mels)
  np.testing.assert_allclose(np.linalg.norm(faces, axis=-1), 1, atol=1e-5)
  np.testing.assert_allclose(np.linalg.norm(heard, axis=-1), 1, atol=1e-5)
  assert (np.min(faces) >= 0) == (np.min(heard) >= 0) == (not contrastive)  # the classic one ends in a ReLU
  brighter = frames.copy()
  brighter[:, :, :16] = 1
  np.testing.assert_array_equal(apply(variables, brighter, mels)[0], faces)  # it sees the lower half alone


def test_classic_probability_is_the_cosine():
  expert = SyncExpert(contrastive=False)
  cosine = jnp.array([0.0, 0.2, 0.5, 0.999, 1.0])
  logits = expert.apply({}, cosine, method=SyncExpert.logits)
  np.testing.assert_allclose(jax.nn.sigmoid(logits), cosine, atol=2e-6)
  slope = jax.grad(lambda c: expert.apply({}, c, method=SyncExpert.logits).sum())(cosine)
  assert np.isfinite(slope).all()


def test_gradient_is_finite_where_an_embedding_is_zero():
  expert, variables = expert_and_variables()
  frames = jnp.zeros((1, 5, 32, 32, 3))
  gradient = jax.jit(jax.grad(lambda x: expert.apply(variables, x, method=SyncExpert.embed_faces).sum()))(frames)
  assert np.isfinite(gradient).all()


def test_a_view_of_the_mouth_is_all_that_is_seen():
  frames = np.random.default_rng(0).random((2, 5, 48, 48, 3), np.float32)
  expert, variables = expert_and_variables(image_size=48, view='mouth')
  embed = jax.jit(lambda x: expert.apply(variables, x, method=SyncExpert.embed_faces))
  beside = frames.copy()
  beside[:, :, :28] = beside[:, :, 44:] = beside[:, :, :, :8] = beside[:, :, :, 40:] = 0
  np.testing.assert_array_equal(embed(beside), embed(frames))
  beside[:, :, 30, 20] = 1
  assert np.abs(embed(beside) - embed(frames)).max() > 1e-6


def test_features_are_dropped_in_training_alone():
  rng = np.random.default_rng(0)
  inputs = rng.random((3, 5, 32, 32, 3), np.float32), rng.standard_normal((3, 80, 16)).astype(np.float32)
  (plain, variables), (dropping, _) = expert_and_variables(True), expert_and_variables(True, dropout=0.5)
  embedded = (jax.jit(expert.apply)(variables, *inputs) for expert in (plain, dropping))
  for one, other in zip(*embedded, strict=True):
    np.testing.assert_array_equal(one, other)

  @jax.jit
  def in_training(seed):
    rngs = {'dropout': jax.random.key(seed)}
    return dropping.apply(variables, *inputs, train=True, mutable=['batch_stats'], rngs=rngs)[0]

  assert np.abs(in_training(0)[0] - in_training(1)[0]).max() > 1e-3
  np.testing.assert_array_equal(in_training(0)[1], in_training(0)[1])
