"""Converted networks compute what PyTorch computes with the same weights."""

import jax
import numpy as np
import pytest

torch = pytest.importorskip('torch')

import torch_networks
from torch_networks import save_released

from benchmarks.torch_reference.released import Discriminator, SyncExpert
from lpips_jax import models
from lpips_jax.core import torch_files
from lpips_jax.core.errors import UserError
from lpips_jax.interop import convert, correspondence

RNG = np.random.default_rng(0)


def ours(path):
  """Our module and variables for the network that a file is recognised as."""
  state, _ = torch_files.read_state(path)
  released = convert.recognise(state, path)
  config = convert.config_of(released, state)
  return models.build(config.model), convert.variables_of(released, config, state)


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
def test_wav2lips_generator(tmp_path):
  theirs = save_released(torch_networks.Wav2Lip(), tmp_path / 'wav2lip.pth', 'module.', global_step=7, optimizer={})
  faces, mels = uniform(2, 96, 96, 6), 8 * uniform(2, 80, 16) - 4
  expected = theirs(torch.from_numpy(mels[:, None]), bgr(faces)).numpy().transpose(0, 2, 3, 1)[..., ::-1]
  np.testing.assert_allclose(apply(tmp_path / 'wav2lip.pth', faces, mels), expected, atol=1e-5)


@torch.no_grad()
def test_wav2lips_sync_expert(tmp_path):
  theirs = save_released(SyncExpert(), tmp_path / 'expert.pth', global_step=7)
  frames, mels = uniform(2, 5, 96, 96, 3), 8 * uniform(2, 80, 16) - 4
  mouths = frames[:, :, 48:].transpose(0, 2, 3, 1, 4).reshape(2, 48, 96, 15)
  speech, faces = theirs(torch.from_numpy(mels[:, None]), bgr(mouths))
  face_embeddings, speech_embeddings = apply(tmp_path / 'expert.pth', frames, mels)
  np.testing.assert_allclose(face_embeddings, faces, atol=1e-5)
  np.testing.assert_allclose(speech_embeddings, speech, atol=1e-5)


@torch.no_grad()
def test_wav2lips_discriminator(tmp_path):
  theirs = save_released(Discriminator(), tmp_path / 'discriminator.pth')
  frames = uniform(2, 96, 96, 3)
  np.testing.assert_allclose(apply(tmp_path / 'discriminator.pth', frames), theirs(bgr(frames[:, 48:])), atol=1e-5)


@torch.no_grad()
def test_syncnet_v2(tmp_path):
  theirs = save_released(torch_networks.SyncNet(), tmp_path / 'syncnet_v2.model')
  frames, mfccs = 255 * uniform(1, 5, 224, 224, 3), 20 * uniform(1, 13, 20) - 10
  stacked = torch.stack([bgr(frames[:, k]) for k in range(5)], 2)
  speech, faces = theirs(torch.from_numpy(mfccs[:, None]), stacked)
  face_embeddings, speech_embeddings = apply(tmp_path / 'syncnet_v2.model', frames, mfccs)
  np.testing.assert_allclose(face_embeddings, faces, atol=1e-4)
  np.testing.assert_allclose(speech_embeddings, speech, atol=1e-4)


@torch.no_grad()
def test_the_inception_of_fid(tmp_path):
  theirs = save_released(torch_networks.Inception(), tmp_path / 'inception.pth')
  images = uniform(1, 40, 330, 3)  # one side grows, the other shrinks
  expected = theirs(torch.from_numpy(images.transpose(0, 3, 1, 2)))
  np.testing.assert_allclose(apply(tmp_path / 'inception.pth', images), expected, atol=1e-4)


@pytest.mark.parametrize(('bias', 'message'), [({}, 'missing: {}'), ({'bias': np.zeros(2)}, 'of another shape: {}, ')])
def test_the_bias_before_batch_norm_is_subtracted_from_its_mean(bias, message):
  block = 'face_encoder.0.conv_block'
  shapes = {'batch_stats': {'face_encoder': {'stem': {'norm': {'mean': jax.ShapeDtypeStruct((3,), np.float32)}}}}}
  state = {f'{block}.1.running_mean': np.array([1, 2, 3]), f'{block}.0.bias': np.array([3, 0, 1])}
  [mean] = jax.tree.leaves(correspondence.converted(shapes, correspondence.sync_expert, state))
  assert mean.tolist() == [-2, 2, 2]
  changed = {f'{block}.1.running_mean': np.zeros(3)} | {f'{block}.0.{name}': x for name, x in bias.items()}
  with pytest.raises(UserError, match=f'^{message.format(f"{block}.0.bias")}'):
    correspondence.converted(shapes, correspondence.sync_expert, changed)
