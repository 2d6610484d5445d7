"""What measures is multiplied in float32 on any device: as CPUs always do, programs are looked at, not numbers."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from configs import quickstart
from lpips_jax import perceptual
from lpips_jax.evaluation.candidates import Candidate
from lpips_jax.evaluation.scorers import Scorers
from lpips_jax.layers.fourier import irfft2, rfft2
from lpips_jax.layers.precision import in_full
from lpips_jax.pretrained import batches
from lpips_jax.training import expert_step

HIGHEST = jax.lax.Precision.HIGHEST
PRODUCTS = 'dot_general', 'conv_general_dilated'


def precisions(function, *args):
  """Of every product in a program, in what precision its factors are."""
  found = []

  def look(jaxpr):
    for equation in jaxpr.eqns:
      if equation.primitive.name in PRODUCTS:
        found.append(equation.params['precision'])
      for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda x: hasattr(x, 'eqns')):
        if hasattr(inner, 'jaxpr') or hasattr(inner, 'eqns'):
          look(getattr(inner, 'jaxpr', inner))

  look(jax.make_jaxpr(function)(*args).jaxpr)
  return found


def test_whatever_is_called_in_full_is_and_nothing_else():
  x = jnp.ones((3, 3))
  assert precisions(lambda x: x @ x, x) == [None]
  assert precisions(in_full(lambda x: x @ x), x) == [(HIGHEST, HIGHEST)]
  assert precisions(in_full(jax.jit(lambda x: x @ x)), x) == [(HIGHEST, HIGHEST)]
  assert precisions(lambda x: in_full(jnp.matmul)(x, x) @ x, x) == [(HIGHEST, HIGHEST), None]


@pytest.mark.parametrize('there_and_back', [False, True])
def test_fourier_transforms(there_and_back):
  def transformed(x):
    parts = rfft2(x)
    return irfft2(parts, 6) if there_and_back else parts

  x = jnp.ones((2, 4, 6, 3))
  found = precisions(transformed, x) + precisions(jax.grad(lambda x: transformed(x).sum()), x)
  assert len(found) >= 4 and set(found) == {(HIGHEST, HIGHEST)}


def test_cosines_of_the_expert_in_training():
  config = quickstart.get_config('sync_expert')
  model = SimpleNamespace(apply=lambda variables, cosine, method: cosine)
  batch = {'start': jnp.zeros((2, 3), int)}
  embeddings = jnp.ones((6, 4))

  def loss(faces, speech):
    return expert_step._metrics(model, {}, faces, speech, batch, config)['loss']

  assert set(precisions(loss, embeddings, embeddings)) == {(HIGHEST, HIGHEST)}


class Network:
  """Notes in what precision it is called; a sync expert, SyncNet or Inception."""

  def __init__(self, *features):
    self.config = ConfigDict({'model': {'image_size': 16}, 'data': {}})
    self.features, self.seen = features, set()

  def __call__(self, *inputs):
    self.seen.add(jax.config.jax_default_matmul_precision)
    found = tuple(np.eye(len(inputs[0]), n, dtype=np.float32) for n in self.features)
    return found if len(found) > 1 else found[0]


def test_judges(monkeypatch):
  seen = set()

  def distance(x, y, weights):
    seen.add(jax.config.jax_default_matmul_precision)
    return jnp.zeros(len(x))

  monkeypatch.setattr(perceptual, 'lpips', distance)
  networks = Network(4, 4), Network(4, 4), Network(8)
  frames, audio = np.zeros((12, 16, 16, 3), np.uint8), np.zeros(12 * 640, np.int16)
  take = Candidate(frames, np.zeros((40, 80), np.float32), audio, truth=frames + 1)
  scorers = Scorers(*networks, weights={'vgg': 0})
  scorers.score(take)
  scorers.features(take)
  assert seen == networks[0].seen == networks[1].seen == networks[2].seen == {'highest'}
  assert jax.config.jax_default_matmul_precision is None


def test_embeddings_of_preparation_and_diagnosis():
  expert = Network(4, 4)
  batches.embeddings(expert, np.zeros((8, 16, 16, 3), np.uint8), np.zeros((40, 80), np.float32))
  assert expert.seen == {'highest'}
