"""Measures are multiplied in float32 on any device. CPUs always do so: tests read programs instead of numbers."""

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
from lpips_jax.layers.precision import full_precision
from lpips_jax.pretrained import batches
from lpips_jax.training import expert_step

HIGHEST = jax.lax.Precision.HIGHEST
PRODUCTS = 'dot_general', 'conv_general_dilated'


def precisions(function, *args):
  """The precisions of all products in a program."""
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


def test_full_precision_reaches_all_that_is_called_and_nothing_else():
  x = jnp.ones((3, 3))
  assert precisions(lambda x: x @ x, x) == [None]
  assert precisions(full_precision(lambda x: x @ x), x) == [(HIGHEST, HIGHEST)]
  assert precisions(full_precision(jax.jit(lambda x: x @ x)), x) == [(HIGHEST, HIGHEST)]
  assert precisions(lambda x: full_precision(jnp.matmul)(x, x) @ x, x) == [(HIGHEST, HIGHEST), None]


@pytest.mark.parametrize('there_and_back', [False, True])
def test_fourier_transforms_are_in_full_precision(there_and_back):
  def transformed(x):
    parts = rfft2(x)
    return irfft2(parts, 6) if there_and_back else parts

  x = jnp.ones((2, 4, 6, 3))
  found = precisions(transformed, x) + precisions(jax.grad(lambda x: transformed(x).sum()), x)
  assert len(found) >= 4 and set(found) == {(HIGHEST, HIGHEST)}


def test_cosines_of_the_expert_are_in_full_precision_in_training():
  config = quickstart.get_config('sync_expert')
  model = SimpleNamespace(apply=lambda variables, cosine, method: cosine)
  batch = {'start': jnp.zeros((2, 3), int)}
  embeddings = jnp.ones((6, 4))

  def loss(faces, speech):
    return expert_step.expert_metrics(model, config.losses, 3, {}, (faces, speech), batch)['loss']

  assert set(precisions(loss, embeddings, embeddings)) == {(HIGHEST, HIGHEST)}


class Network:
  """Stands for a sync expert, SyncNet or Inception, and records the precision in which it is called."""

  def __init__(self, *features):
    self.config = ConfigDict({'model': {'image_size': 16}, 'data': {}})
    self.features, self.seen = features, set()

  def __call__(self, *inputs):
    self.seen.add(jax.config.jax_default_matmul_precision)
    found = tuple(np.eye(len(inputs[0]), n, dtype=np.float32) for n in self.features)
    return found if len(found) > 1 else found[0]


def test_scorers_run_in_full_precision(monkeypatch):
  seen = set()

  def distance(x, y, weights):
    seen.add(jax.config.jax_default_matmul_precision)
    return jnp.zeros(len(x))

  monkeypatch.setattr(perceptual, 'lpips', distance)
  networks = Network(4, 4), Network(4, 4), Network(8)
  frames, audio = np.zeros((12, 16, 16, 3), np.uint8), np.zeros(12 * 640, np.int16)
  candidate = Candidate(frames, np.zeros((40, 80), np.float32), audio, truth=frames + 1)
  scorers = Scorers(*networks, lpips_weights={'vgg': 0})
  scorers.score(candidate)
  scorers.features(candidate)
  assert seen == networks[0].seen == networks[1].seen == networks[2].seen == {'highest'}
  assert jax.config.jax_default_matmul_precision is None


def test_embeddings_of_preparation_and_diagnosis_are_in_full_precision():
  expert = Network(4, 4)
  batches.embeddings(expert, np.zeros((8, 16, 16, 3), np.uint8), np.zeros((40, 80), np.float32))
  assert expert.seen == {'highest'}
