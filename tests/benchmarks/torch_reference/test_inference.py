"""Inference in PyTorch gives our images, with or without folding, and fills batches up where shapes are fixed."""

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from beside_torch import SMALL_AUDIO, apply, both_networks, noise, uniform

from benchmarks.speed.generator import Frames
from benchmarks.torch_reference import inference, recipes
from lpips_jax.models.inputs import generator_faces


def test_generator_gives_the_same_images_folded_or_not():
  module, variables, theirs = both_networks('attn_wav2lip', widths=(8, 8, 16), blocks=1, bottleneck=1, **SMALL_AUDIO)
  crops, references, mels = noise(2, 16, 24, 3), noise(2, 16, 24, 3), uniform(2, 80, 16, low=-4, high=4)
  expected = apply(module, variables, generator_faces(crops, references), mels)
  assert np.asarray(expected).std() > 0.01
  for row in ('released_recipe', 'eager_float32'):  # the first leaves the module as it is
    generate = inference.make_generate(theirs, recipes.recipe(row, 'cpu'))
    found = generate(*map(torch.from_numpy, (crops, references, mels)))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)
    assert any(isinstance(layer, torch.nn.BatchNorm2d) for layer in theirs.modules()) == (row == 'released_recipe')


def test_batches_that_are_not_full_are_padded_where_compiled():
  seen = []

  def generate(crops, references, mels):
    seen.append(len(crops))
    return references.float() / 255

  crops = list(np.random.default_rng(0).integers(256, size=(3, 8, 8, 3), dtype=np.uint8))
  windows = np.zeros((3, 80, 16), np.float32)
  for row, count in {'eager_float32': 3, 'compiled_float32': 4}.items():
    recipe = recipes.recipe(row, 'cpu')
    network = inference.FaceGenerator(generate, recipe, Frames(32, 4, tiny=True).config(), 4)
    images = network(crops, crops, windows).result()
    assert seen[-1] == count and images.shape == (3, 8, 8, 3)
    np.testing.assert_allclose(images, np.stack(crops) / 255, atol=1e-6)
