"""Released weights as our checkpoints: what PyTorch makes of them, ours makes too."""

import hashlib

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

torch = pytest.importorskip('torch')

import torch_networks

from benchmarks.torch_reference.released import Discriminator, SyncExpert, Vgg16
from lpips_jax import models, perceptual
from lpips_jax.core import torch_files
from lpips_jax.interop import convert

RNG = np.random.default_rng(0)


def released(network, path, prefix='', **beside):
  """Saves a network with random weights, and statistics as if trained, as the released files do."""
  torch.manual_seed(0)
  for name, value in network.state_dict().items():
    if name.endswith('running_mean'):
      value.normal_(0, 0.1)
    elif name.endswith('running_var'):
      value.uniform_(0.5, 2)
  network.eval()
  state = {prefix + name: value for name, value in network.state_dict().items()}
  torch.save({'state_dict': state, **beside} if beside else state, path)
  return network


def ours(path):
  """The module and the variables that the file is recognised as."""
  state, _ = torch_files.read_state(path)
  kind = convert.recognise(state, path)
  return models.build(ConfigDict(kind.config).model), convert.variables_of(kind, state)


def uniform(*shape):
  return RNG.uniform(size=shape).astype(np.float32)


def bgr(images):
  """(n, h, w, 3 k) RGB -> (n, 3 k, h, w) BGR."""
  n, h, w, _ = images.shape
  return torch.from_numpy(images.reshape(n, h, w, -1, 3)[..., ::-1].reshape(n, h, w, -1).transpose(0, 3, 1, 2).copy())


def apply(path, *inputs, **options):
  module, variables = ours(path)
  with jax.default_matmul_precision('highest'):
    return jax.jit(lambda v, *x: module.apply(v, *x, **options))(variables, *inputs)


@torch.no_grad()
def test_wav2lip(tmp_path):
  theirs = released(torch_networks.Wav2Lip(), tmp_path / 'wav2lip.pth', 'module.', global_step=7, optimizer={})
  faces, mels = uniform(2, 96, 96, 6), 8 * uniform(2, 80, 16) - 4
  expected = theirs(torch.from_numpy(mels[:, None]), bgr(faces)).numpy().transpose(0, 2, 3, 1)[..., ::-1]
  np.testing.assert_allclose(apply(tmp_path / 'wav2lip.pth', faces, mels), expected, atol=1e-5)


@torch.no_grad()
def test_expert(tmp_path):
  theirs = released(SyncExpert(), tmp_path / 'expert.pth', global_step=7)
  frames, mels = uniform(2, 5, 96, 96, 3), 8 * uniform(2, 80, 16) - 4
  mouths = frames[:, :, 48:].transpose(0, 2, 3, 1, 4).reshape(2, 48, 96, 15)
  speech, faces = theirs(torch.from_numpy(mels[:, None]), bgr(mouths))
  of_faces, of_speech = apply(tmp_path / 'expert.pth', frames, mels)
  np.testing.assert_allclose(of_faces, faces, atol=1e-5)
  np.testing.assert_allclose(of_speech, speech, atol=1e-5)


@torch.no_grad()
def test_discriminator(tmp_path):
  theirs = released(Discriminator(), tmp_path / 'discriminator.pth')
  frames = uniform(2, 96, 96, 3)
  np.testing.assert_allclose(apply(tmp_path / 'discriminator.pth', frames), theirs(bgr(frames[:, 48:])), atol=1e-5)


@torch.no_grad()
def test_syncnet(tmp_path):
  theirs = released(torch_networks.SyncNet(), tmp_path / 'syncnet_v2.model')
  frames, mfccs = 255 * uniform(1, 5, 224, 224, 3), 20 * uniform(1, 13, 20) - 10
  stacked = torch.stack([bgr(frames[:, k]) for k in range(5)], 2)
  speech, faces = theirs(torch.from_numpy(mfccs[:, None]), stacked)
  of_faces, of_speech = apply(tmp_path / 'syncnet_v2.model', frames, mfccs)
  np.testing.assert_allclose(of_faces, faces, atol=1e-4)
  np.testing.assert_allclose(of_speech, speech, atol=1e-4)


@torch.no_grad()
def test_inception(tmp_path):
  theirs = released(torch_networks.Inception(), tmp_path / 'inception.pth')
  images = uniform(1, 40, 330, 3)  # one side grows, the other shrinks
  expected = theirs(torch.from_numpy(images.transpose(0, 3, 1, 2)))
  np.testing.assert_allclose(apply(tmp_path / 'inception.pth', images), expected, atol=1e-4)


@torch.no_grad()
def test_lpips(tmp_path, monkeypatch):
  # Random weights have other names and digests than those that were released.
  monkeypatch.setattr(perceptual.weights, 'TORCH_FILES', ('vgg16.pth', 'linear.pth'))
  vgg = released(Vgg16(), tmp_path / 'vgg16.pth')
  linear = torch_networks.LinearWeights().eval()
  for parameter in linear.parameters():
    parameter.uniform_(0, 1)
  torch.save(linear.state_dict(), tmp_path / 'linear.pth')
  numbers = b''.join(parameter.detach().numpy().tobytes() for parameter in linear.parameters())
  monkeypatch.setattr(perceptual.weights, 'LINEAR_SHA256', hashlib.sha256(numbers).hexdigest())
  assert 'LPIPS' in convert.convert(tmp_path, tmp_path / 'converted')
  x, y = 2 * uniform(2, 64, 64, 3) - 1, 2 * uniform(2, 64, 64, 3) - 1
  expected = torch_networks.lpips(vgg, linear, *(torch.from_numpy(z.transpose(0, 3, 1, 2)) for z in (x, y)))
  weights = perceptual.load_weights(str(tmp_path / 'converted'))
  with jax.default_matmul_precision('highest'):
    ours = jax.jit(perceptual.lpips)(x, y, weights)
  assert float(expected.min()) > 0.01
  np.testing.assert_allclose(ours, expected, atol=1e-4)
