import numpy as np
import pytest
from annotations import unchecked

from lpips_jax.metrics import distances, sync_accuracy, sync_scores


def unit(x):
  return x / np.linalg.norm(x, axis=-1, keepdims=True)


def talk(seed, frames=60, dimensions=16):
  return unit(np.random.default_rng(seed).standard_normal((frames, dimensions)))


def by_definition(face, audio, max_shift):
  """A transcription: pad the speech with zeros, compare each face with all its shifts, average over faces."""
  zeros = np.zeros((max_shift, audio.shape[1]))
  padded = np.concatenate([zeros, audio, zeros])
  rows = []
  for k, one in enumerate(face):
    rows.append([np.sqrt(((one - other) ** 2).sum()) for other in padded[k : k + 2 * max_shift + 1]])
  means = np.array(rows).mean(0)
  return means, means.min(), np.median(means) - means.min(), max_shift - means.argmin()


@pytest.mark.parametrize(('frames', 'max_shift'), [(60, 15), (5, 15), (1, 2)])
def test_scores_match_the_definition(frames, max_shift):
  face, audio = talk(0, frames), 3 * talk(1, frames)
  means, *expected = by_definition(face, audio, max_shift)
  np.testing.assert_allclose(distances(face, audio, max_shift), means, atol=1e-5)
  np.testing.assert_allclose(sync_scores(face, audio, max_shift), expected, atol=1e-5)
  assert means.shape == (2 * max_shift + 1,)


@pytest.mark.parametrize('ahead', [0, 1, 4, -1, -7, 15, -15])
def test_offset_counts_the_frames_by_which_the_sound_is_ahead(ahead):
  speech = talk(2, frames=100)
  face, audio = speech[20:80], speech[20 + ahead : 80 + ahead]
  scores = sync_scores(face, audio)
  assert scores.offset == ahead
  assert scores.confidence > 0.5


def test_confidence_is_higher_in_sync_than_with_other_speech():
  face, other = talk(3), talk(4)
  noisy = unit(face + 0.1 * talk(5))
  assert sync_scores(face, noisy).confidence > 5 * sync_scores(face, other).confidence
  assert sync_scores(face, noisy).distance < sync_scores(face, other).distance


@pytest.mark.parametrize('shapes', [((5, 4), (6, 4)), ((5, 4), (5, 3)), ((0, 4), (0, 4)), ((4,), (4,))])
def test_embeddings_that_do_not_fit_are_refused(shapes):
  with unchecked(), pytest.raises(ValueError, match='one shape'):
    distances(*(np.zeros(shape) for shape in shapes))


def test_accuracy_counts_pairs():
  similarity = np.full((5, 5), 0.9)  # near pairs, which count as neither
  similarity[np.arange(5), np.arange(5)] = [0.8, 0.7, 0.4, 0.6, 0.2]
  similarity[[0, 1, 3], [3, 4, 0]] = [0.1, 0.7, 0.55]  # pairs three or more apart
  similarity[[0, 4, 4], [4, 0, 1]] = [0.9, 0.5, 0.3]
  rates = sync_accuracy(similarity, threshold=0.5)
  assert rates == pytest.approx(
    {
      'in_sync': 3 / 5,
      'off_sync': 3 / 6,  # 0.1, 0.5 and 0.3
      'accuracy': (3 / 5 + 3 / 6) / 2,
      'ranking': 2.5 / 6,  # 0.8 > 0.1, 0.6 > 0.55 and half for 0.7 = 0.7
    }
  )


def test_a_perfect_expert_and_a_blind_one():
  face = talk(6)
  assert set(sync_accuracy(face @ face.T, threshold=0.999).values()) == {1.0}
  assert sync_accuracy(np.zeros((8, 8)), 0.5) == {'in_sync': 0, 'off_sync': 1, 'accuracy': 0.5, 'ranking': 0.5}


def test_not_a_number_is_never_right():
  assert set(sync_accuracy(np.full((6, 6), np.nan), 0.5).values()) == {0}


@pytest.mark.parametrize('shape', [(4, 5), (3, 3), (9,)])
def test_similarities_that_do_not_fit_are_refused(shape):
  with unchecked(), pytest.raises(ValueError, match=r'matrix|3 frames apart'):
    sync_accuracy(np.zeros(shape), 0.5)
