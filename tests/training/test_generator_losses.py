"""The registry of losses: which terms are found when, what they look at, and which open when."""

from pathlib import Path

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from runs import tiny_config

from lpips_jax import losses
from lpips_jax.training import generator_losses
from lpips_jax.training.generator_losses import TERMS, Scene, gates, loss_terms, needs_clips, networks_needed

RNG = np.random.default_rng(0)
STARTS = np.array([1, 6], np.int32)
CLIP = RNG.random((1, 12, 4, 4, 3), np.float32)
BATCH = {
  'target': np.concatenate([CLIP[:, 1:6], CLIP[:, 6:11]]),
  'reference': RNG.random((2, 5, 4, 4, 3), np.float32),
  'window_mel': np.zeros((2, 80, 16), np.float32),
  'clip_frames': CLIP,
  'clip_sound': RNG.random((1, 12, 104), np.float32),
  'clip_length': np.array([12], np.int32),
  'clip_labels': np.array([[1, 2, 1, 0, 0]], np.int32),
  'clip_start': STARTS,
}


class Means(nn.Module):
  """An audio-visual expert whose features are means of the picture and of the sound."""

  def __call__(self, sound, frames, length):
    picture = 0.0 if frames is None else jnp.mean(frames, (2, 3))  # (c, n, 3)
    return picture + (0.0 if sound is None else sound[..., :3])


class Reader(nn.Module):
  """A lip reader whose logits are the mean colours."""

  def __call__(self, frames, length):
    return 9 * jnp.mean(frames, (2, 3))


def scene(generated=BATCH['target'], **of_losses) -> Scene:
  config = ConfigDict(dict.fromkeys(TERMS, 0.0) | {'sync_kind': 'log', 'av_sync_kind': 'audio'} | of_losses)
  networks = {'av_expert': Means(), 'lip_reader': Reader()}
  return Scene(jnp.asarray(generated), BATCH, config, networks, {name: {} for name in networks}, jnp.float32)


@pytest.fixture
def without_the_expert(monkeypatch):
  monkeypatch.setattr(
    generator_losses, 'TERMS', {name: term for name, term in TERMS.items() if 'sync_expert' not in term.networks}
  )


def test_reading_is_ctc_per_label_of_the_clip_with_the_windows_in_it(without_the_expert):
  darker = 0.5 * BATCH['target']
  clip = CLIP.copy()
  clip[0, 1:11] = 0.5 * clip[0, 1:11]
  expected = losses.ctc(9 * clip.mean((2, 3)), BATCH['clip_length'], BATCH['clip_labels'])[0] / 3
  np.testing.assert_allclose(loss_terms(scene(darker, reading=1.0))['reading'], expected, rtol=1e-5)


@pytest.mark.parametrize('kind', ['audio', 'visual', 'joint'])
def test_av_sync_compares_the_windows_with_the_sound_the_true_lips_or_both(kind, without_the_expert):
  darker = 0.5 * BATCH['target']
  seen, true = 0.5 * CLIP.mean((2, 3))[0, 1:11], CLIP.mean((2, 3))[0, 1:11]
  sound = BATCH['clip_sound'][0, 1:11, :3]
  pairs = {'audio': (sound, seen), 'visual': (true, seen), 'joint': (sound + true, sound + seen)}
  cosine = [np.dot(x, y) / np.linalg.norm(x) / np.linalg.norm(y) for x, y in zip(*pairs[kind], strict=True)]
  found = loss_terms(scene(darker, av_sync=1.0, av_sync_kind=kind))['av_sync']
  np.testing.assert_allclose(found, -np.mean(np.log(cosine)), rtol=1e-4, atol=1e-6)


def test_terms_without_a_coefficient_are_not_found_unless_they_cost_nothing(without_the_expert):
  assert loss_terms(scene()).keys() == {'reconstruction', 'lower_half'}
  assert loss_terms(scene(store=1.0)).keys() == {'reconstruction', 'lower_half'}  # nothing is sown in evaluation


def test_what_a_network_has_sown_counts(without_the_expert):
  config = scene(store=2.0).config
  given = Scene(jnp.asarray(BATCH['target']), BATCH, config, {}, {}, jnp.float32, sown={'store': jnp.array([1.0, 3.0])})
  assert float(loss_terms(given)['store']) == 2.0


def test_a_config_says_what_its_losses_need():
  config = tiny_config('generator', Path('unused')).losses
  config.update(perceptual=0.0)
  assert networks_needed(config) == {'sync_expert'} and not needs_clips(config)
  assert gates(config) == {'sync': config.sync_gate}
  config.update(reading=1e-3, perceptual=1.0)
  assert networks_needed(config) == {'sync_expert', 'lip_reader', 'lpips'} and needs_clips(config)
  assert gates(config) == {'sync': config.sync_gate, 'reading': config.reading_gate}
