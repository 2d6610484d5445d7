"""Scores by an audio-visual expert, one whose lips and sound are plain numbers."""

import dataclasses

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from lpips_jax.audio.av_features import av_features
from lpips_jax.evaluation import Candidate
from lpips_jax.evaluation.audio_visual import scores
from lpips_jax.evaluation.scorers import Scorers
from lpips_jax.pretrained import Pretrained

RNG = np.random.default_rng(0)
SIZE, FRAMES = 16, 40
SPREAD = 0.1  # of what is heard, as brightness


class Plain(nn.Module):
  """Hears 24 of the 104 features of speech; sees as many numbers, painted into the first row of a picture."""

  def hear(self, speech):
    return speech[..., : 3 * SIZE]

  def see(self, crops, length):
    return (crops[..., 0, :, :].reshape(*crops.shape[:2], 3 * SIZE) - 0.5) / SPREAD

  def fuse(self, heard, seen, length):
    """Adds what is heard and what is seen; past the end it returns rubbish, which nobody may use."""
    both = sum(x for x in (heard, seen) if x is not None)
    return jnp.where((jnp.arange(both.shape[1]) < length[:, None])[..., None], both, 100.0)


@pytest.fixture(scope='module')
def expert():
  return Pretrained(ConfigDict({'model': {'image_size': SIZE}}), Plain(), {'params': {'of': np.ones(1)}}, 0)


@pytest.fixture(scope='module')
def audio():
  return RNG.integers(-9000, 9000, FRAMES * 640, dtype=np.int16)


def speaking(audio, delay=0):
  """Frames whose lips are those of the sound, or of what was heard some frames before."""
  heard = np.roll(av_features(audio, FRAMES)[:, : 3 * SIZE], delay, 0)
  frames = np.zeros((FRAMES, SIZE, SIZE, 3), np.float32)
  frames[:, 0] = 0.5 + SPREAD * heard.reshape(FRAMES, SIZE, 3)
  return frames


def candidate(audio, frames, **others):
  return Candidate(frames, np.zeros((4 * FRAMES, 80), np.float32), audio, **others)


def cosine(x, y):
  return float(np.mean((x * y).sum(-1) / np.linalg.norm(x, axis=-1) / np.linalg.norm(y, axis=-1)))


def test_the_three_are_cosines_of_features_of_the_same_frames(expert, audio):
  frames, truth = speaking(audio, 2), speaking(audio)
  found = scores(expert, frames, candidate(audio, frames, truth=truth), audio)
  heard = av_features(audio, FRAMES)[:, : 3 * SIZE].astype(np.float64)
  seen = np.roll(heard, 2, 0)
  assert found.keys() == {'avs_u', 'avs_m', 'avs_v'}
  assert [found['avs_u'], found['avs_v']] == pytest.approx([cosine(heard, seen)] * 2, abs=1e-5)
  assert found['avs_m'] == pytest.approx(cosine(heard + seen, 2 * heard), abs=1e-5)
  perfect = scores(expert, truth, candidate(audio, truth, truth=truth), audio)
  assert list(perfect.values()) == pytest.approx([1, 1, 1], abs=1e-5)


def test_without_truth_there_is_one_and_without_sound_none(expert, audio):
  scorers, frames = Scorers(av_expert=expert), speaking(audio)
  assert 'avs_u' in scorers.score(candidate(audio, frames)) and 'avs_v' not in scorers.score(candidate(audio, frames))
  assert not {'avs_u', 'avs_m', 'avs_v'} & scorers.score(candidate(None, frames, truth=frames)).keys()
  assert scorers.unmet.keys() == {'avs_u', 'avs_m', 'avs_v'} and scorers.cache_key.keys() == {'av_expert'}


def test_frames_without_sound_are_not_scored(expert, audio):
  frames = speaking(audio)
  found = scores(expert, frames, candidate(audio[: 30 * 640], frames, truth=frames), audio[: 30 * 640])
  assert found['avs_v'] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(('delay', 'lowest', 'highest'), [(0, 0.99, 1), (1, 0.9, 1), (7, 0, 0.9)])
def test_filmed_lips_are_ranked_against_the_sound_of_other_times(expert, audio, delay, lowest, highest):
  frames = speaking(audio, delay)
  filmed = candidate(audio, frames, truth=frames, filmed=True)
  assert lowest <= scores(expert, frames, filmed, audio)['av_ranking'] <= highest
  assert 'av_ranking' not in scores(expert, frames, dataclasses.replace(filmed, filmed=False), audio)


def test_a_clip_too_short_to_be_off_sync_is_not_ranked(expert, audio):
  frames = speaking(audio)[:8]
  assert 'av_ranking' not in scores(expert, frames, candidate(audio, frames, filmed=True), audio)
