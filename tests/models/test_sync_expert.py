"""The sync expert's embeddings and probabilities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from lpips_jax import models
from lpips_jax.models.sync_expert import SyncExpert
from lpips_jax.training.state import init_variables

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


def expert_and_variables(contrastive=False):
  config = ConfigDict(CONFIG.to_dict() | {'contrastive': contrastive})
  expert = models.build(config)
  return expert, init_variables(expert, config, seed=0)


@pytest.mark.parametrize('contrastive', [False, True])
def test_embeddings(contrastive):
  rng = np.random.default_rng(0)
  frames = rng.random((3, 5, 32, 32, 3), np.float32)
  mels = rng.standard_normal((3, 80, 16)).astype(np.float32)
  expert, variables = expert_and_variables(contrastive)
  apply = jax.jit(expert.apply)
  faces, speech = apply(variables, frames, mels)
  np.testing.assert_allclose(np.linalg.norm(faces, axis=-1), 1, atol=1e-5)
  np.testing.assert_allclose(np.linalg.norm(speech, axis=-1), 1, atol=1e-5)
  assert (np.min(faces) >= 0) == (not contrastive)  # the classic one ends in a ReLU
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
