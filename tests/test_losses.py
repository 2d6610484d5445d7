"""The losses against plain NumPy, and what they are when nothing is learnt."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lpips_jax import losses

RNG = np.random.default_rng(0)
CLIP = np.array([0, 0, 0, 1, 1, 1])
START = np.array([0, 2, 9, 4, 8, 9])


def test_reconstruction_is_one_value_an_example():
  x, y = RNG.random((2, 3, 4, 4, 3))
  np.testing.assert_allclose(losses.reconstruction(x, y), np.abs(x - y).mean((1, 2, 3)), rtol=1e-6)
  np.testing.assert_allclose(losses.squared_error(x, y), ((x - y) ** 2).mean((1, 2, 3)), rtol=1e-6)


def test_sync_is_minus_log_p_clamped():
  p = np.array([0.9, 0.5, 1e-3])
  logits = np.append(np.log(p / (1 - p)), -500.0)
  np.testing.assert_allclose(losses.sync(jnp.array(logits)), [*-np.log(p), 100], rtol=1e-5)


def stabilised(x, y, d):
  """As the paper writes it, in float64."""
  gap, e = np.maximum(np.abs(y - d), 1e-3), 1e-4
  return -np.log(1 - (np.abs(x - y) + e) / (np.abs(x - y) + gap + e))


def test_stabilised_sync_matches_the_formula_and_its_slope_finite_differences():
  x, y, d = RNG.uniform(-1, 1, (3, 4, 5))
  np.testing.assert_allclose(losses.stabilised_sync(x, y, d), stabilised(x, y, d), rtol=1e-4)
  slopes = jax.grad(lambda *cosines: losses.stabilised_sync(*cosines).sum(), argnums=(0, 1, 2))(x, y, d)
  differences = (stabilised(x + 1e-6, y, d) - stabilised(x - 1e-6, y, d)) / 2e-6
  np.testing.assert_allclose(slopes[0], differences, rtol=1e-3)
  assert not np.any(slopes[1]) and not np.any(slopes[2])


def test_stabilised_sync_at_its_limits():
  y = np.array([0.8, 0.8, 0.8])
  d = np.array([0.3, 0.8, -0.2])  # the second scores as the truth does
  at_truth = losses.stabilised_sync(y, y, d)
  gap = np.array([0.5, 1e-3, 1.0])
  np.testing.assert_allclose(at_truth, -np.log(gap / (gap + 1e-4)), rtol=1e-2)
  copied = losses.stabilised_sync(d[[0, 2]], y[[0, 2]], d[[0, 2]])  # a generator that repeats the reference
  np.testing.assert_allclose(copied, np.log(2), rtol=1e-3)
  off = losses.stabilised_sync(y - 0.2, y, d)
  assert off[1] > off[0] > off[2] > np.max(np.asarray(at_truth)[[0, 2]])  # dearer the more in sync the reference is
  np.testing.assert_allclose(
    off, losses.stabilised_sync(y + 0.2, y, d), rtol=1e-5
  )  # nobody is paid for more than truth
  worst = losses.stabilised_sync(jnp.array([-1.0]), jnp.array([1.0]), jnp.array([1.0]))
  np.testing.assert_allclose(worst, np.log(2.0011 / 0.001), rtol=1e-4)


def triplet(g, t, r, margin=0.5):
  g, t, r = (x / np.sqrt((x**2).sum((1, 2, 3), keepdims=True)) for x in (g, t, r))
  near, far = (np.sqrt(((g - x) ** 2).sum((1, 2, 3))) for x in (t, r))
  return np.maximum(0, near - far + margin * (1 - (t * r).sum((1, 2, 3))))


def test_adaptive_triplet_matches_numpy_and_its_slope_finite_differences():
  g, t, r = RNG.random((3, 6, 3, 4, 2))
  g[:3] = 0.3 * g[:3] + 0.7 * r[:3]  # some nearer to the reference
  g[5] = t[5]
  expected = triplet(g, t, r)
  np.testing.assert_allclose(losses.adaptive_triplet(g, t, r), expected, rtol=1e-4, atol=1e-5)
  assert np.all(expected[:3] > 0.1) and expected[5] == 0
  slopes = jax.jit(jax.grad(lambda *maps: losses.adaptive_triplet(*maps).sum(), argnums=(0, 1, 2)))(g, t, r)
  step = np.zeros_like(g)
  step[:, 1, 2, 0] = 1e-5
  differences = (triplet(g + step, t, r) - triplet(g - step, t, r)) / 2e-5
  np.testing.assert_allclose(slopes[0][:5, 1, 2, 0], differences[:5], rtol=1e-3, atol=1e-5)
  assert not np.any(slopes[1]) and not np.any(slopes[2])


def test_adaptive_triplet_asks_for_less_the_more_target_and_reference_are_alike():
  # Numbers of its own, of which rounding leaves a cosine of exactly 1, whatever tests ran before.
  t, r = np.random.default_rng(3).random((2, 1, 3, 4, 2))
  nearly = 0.9 * t + 0.1 * r
  assert losses.adaptive_triplet(r, t, r)[0] > 5 * losses.adaptive_triplet(nearly, t, nearly)[0] > 0
  repeated = jax.grad(lambda g: losses.adaptive_triplet(g, t, r).sum())(r)  # where a generator begins
  assert np.all(np.isfinite(repeated)) and np.any(repeated)
  assert not np.any(losses.adaptive_triplet(t, t, t))


def test_contrastive_matches_numpy():
  logits = RNG.standard_normal((6, 6))
  expected = []
  for i in range(6):
    others = [j for j in range(6) if j == i or CLIP[i] != CLIP[j] or abs(START[i] - START[j]) >= 3]
    to_speech = np.log(np.exp(logits[i, others]).sum()) - logits[i, i]
    to_faces = np.log(np.exp(logits[others, i]).sum()) - logits[i, i]
    expected.append((to_speech + to_faces) / 2)
  np.testing.assert_allclose(losses.contrastive(jnp.array(logits), CLIP, START), expected, rtol=1e-5)


def test_contrastive_within_clips_leaves_other_clips_out():
  logits = RNG.standard_normal((6, 6))
  expected = losses.contrastive(jnp.where(CLIP[:, None] == CLIP, logits, -1e9), CLIP, START)
  np.testing.assert_allclose(losses.contrastive(jnp.array(logits), CLIP, START, 3, 'clip'), expected, rtol=1e-5)
  assert np.all(expected < losses.contrastive(jnp.array(logits), CLIP, START))


def test_balanced_bce_matches_numpy():
  logits = RNG.standard_normal((6, 6))
  p = 1 / (1 + np.exp(-logits))
  expected = []
  for i in range(6):
    negatives = [j for j in range(6) if CLIP[i] == CLIP[j] and abs(START[i] - START[j]) >= 3]
    expected.append((-np.log(p[i, i]) - np.log(1 - p[i, negatives]).mean()) / 2)
  np.testing.assert_allclose(losses.balanced_bce(jnp.array(logits), CLIP, START), expected, rtol=1e-5)


def test_hardness_weighs_negatives_by_how_much_they_pass_for_in_sync():
  logits = RNG.standard_normal((6, 6))
  negatives = np.array([[CLIP[i] == CLIP[j] and abs(START[i] - START[j]) >= 3 for j in range(6)] for i in range(6)])
  weight = np.where(negatives, np.exp(2.0 * logits), 0)
  weight /= weight.sum(1, keepdims=True)
  expected = (np.log1p(np.exp(-logits.diagonal())) + (weight * np.log1p(np.exp(logits))).sum(1)) / 2
  hard = losses.balanced_bce(jnp.array(logits), CLIP, START, hardness=2.0)
  np.testing.assert_allclose(hard, expected, rtol=1e-5)
  assert np.all(hard >= losses.balanced_bce(jnp.array(logits), CLIP, START) - 1e-6)


def test_trust_weighs_clips_by_how_much_they_are_taken_to_be_in_sync():
  logits = RNG.standard_normal((6, 6)) * 3
  p = 1 / (1 + np.exp(-logits.diagonal().reshape(2, 3).mean(1)))
  expected = np.repeat(p / p.mean(), 3)
  np.testing.assert_allclose(losses.trust(jnp.array(logits), 3, 1.0), expected, rtol=1e-5)
  np.testing.assert_allclose(losses.trust(jnp.array(logits), 3, 0.0), np.ones(6), rtol=1e-6)
  np.testing.assert_allclose(losses.trust(jnp.full((6, 6), -500.0), 3, 1.0), np.ones(6), rtol=1e-6)  # of none
  assert not jax.grad(lambda x: losses.trust(x, 3, 1.0)[0])(jnp.array(logits)).any()


def test_adversarial_losses_match_numpy():
  filmed, generated = RNG.standard_normal((2, 5)) * 2
  p, q = 1 / (1 + np.exp(-filmed)), 1 / (1 + np.exp(-generated))
  np.testing.assert_allclose(losses.adversarial(jnp.array(generated), 'bce'), -np.log(q), rtol=1e-5)
  np.testing.assert_allclose(losses.adversarial(jnp.array(generated), 'hinge'), -generated, rtol=1e-5)
  expected = -np.log(p) - np.log(1 - q)
  np.testing.assert_allclose(losses.discrimination(jnp.array(filmed), jnp.array(generated), 'bce'), expected, rtol=1e-5)
  expected = np.maximum(0, 1 - filmed) + np.maximum(0, 1 + generated)
  np.testing.assert_allclose(losses.discrimination(filmed, generated, 'hinge'), expected, rtol=1e-5)


def test_r1_is_the_squared_length_of_the_slope():
  slope = RNG.standard_normal((2, 4, 4, 3))
  np.testing.assert_allclose(losses.r1(slope), [(x**2).sum() for x in slope], rtol=1e-5)


def test_nothing_learnt_is_ln_2_and_ln_n():
  clip, start = np.arange(6), np.zeros(6, int)
  np.testing.assert_allclose(losses.contrastive(jnp.zeros((6, 6)), clip, start), np.log(6), rtol=1e-6)
  np.testing.assert_allclose(losses.balanced_bce(jnp.zeros((6, 6)), CLIP, START), np.log(2), rtol=1e-6)


def test_gradients_are_finite_where_a_window_has_no_negative():
  clip, start = np.zeros(2, int), np.array([0, 1])
  logits = jnp.array([[50.0, 0], [0, -50]])
  hard = partial(losses.balanced_bce, hardness=1.0)
  for loss in (losses.contrastive, losses.balanced_bce, hard):
    values, pull = jax.vjp(jax.jit(lambda x, loss=loss: loss(x, clip, start)), logits)
    assert np.isfinite(values).all() and np.isfinite(pull(jnp.ones(2))[0]).all()


def test_windows_that_are_just_far_enough_apart_are_negatives():
  logits, clip, start = jnp.array([[2.0, 5.0], [-1.0, 3.0]]), np.zeros(2, int), np.array([0, 3])
  softplus = lambda x: np.log1p(np.exp(x))  # noqa: E731
  np.testing.assert_allclose(
    losses.balanced_bce(logits, clip, start, 3),
    [(softplus(-2) + softplus(5)) / 2, (softplus(-3) + softplus(-1)) / 2],
    rtol=1e-6,
  )
  np.testing.assert_allclose(losses.balanced_bce(logits, clip, start, 4), [softplus(-2), softplus(-3)], rtol=1e-6)
  far = [(softplus(3) + softplus(-3)) / 2, (softplus(-4) + softplus(2)) / 2]
  np.testing.assert_allclose(losses.contrastive(logits, clip, start, 3), far, rtol=1e-6)
  np.testing.assert_allclose(losses.contrastive(logits, clip, start, 4), [0, 0], atol=1e-6)


def test_ctc_and_its_gradient_equal_pytorchs():
  torch = pytest.importorskip('torch')
  logits = 3 * RNG.standard_normal((4, 15, 6)).astype(np.float32)
  labels = np.array([[1, 1, 3, 5, 5], [2, 4, 4, 1, 0], [3, 0, 0, 0, 0], [0, 0, 0, 0, 0]], np.int32)
  frames, spoken = np.array([15, 9, 12, 15]), [5, 4, 1, 0]
  weights = np.array([1.0, 0.5, 2.0, 0.3], np.float32)
  values = losses.ctc(logits, frames, labels)
  gradient = jax.grad(lambda x: (weights * losses.ctc(x, frames, labels)).sum())(logits)

  theirs = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
  lengths = torch.tensor(frames), torch.tensor(spoken)
  expected = torch.nn.CTCLoss(reduction='none')(
    theirs.log_softmax(-1).swapaxes(0, 1), torch.tensor(labels.astype(int)), *lengths
  )
  (expected * torch.tensor(weights)).sum().backward()
  np.testing.assert_allclose(values, expected.detach().numpy(), rtol=1e-5)
  np.testing.assert_allclose(gradient, theirs.grad.numpy(), atol=1e-5)
  assert np.all(np.asarray(gradient)[1, 9:] == 0) and np.any(np.asarray(gradient)[1, 8] != 0)  # padding has none


def test_ctc_is_the_sum_over_all_alignments():
  rng = np.random.default_rng(2)
  logits, labels = rng.standard_normal((1, 4, 3)), np.array([[1, 1, 0]])
  p = np.exp(logits[0]) / np.exp(logits[0]).sum(-1, keepdims=True)
  total = 0.0
  for path in itertools.product(range(3), repeat=4):
    if [label for label, _ in itertools.groupby(path) if label] == [1, 1]:
      total += np.prod(p[np.arange(4), path])
  np.testing.assert_allclose(losses.ctc(logits, np.array([4]), labels), -np.log(total), rtol=1e-5)


def test_labels_that_do_not_fit_their_frames_are_left_out_of_ctc():
  logits = RNG.standard_normal((3, 4, 5)).astype(np.float32)
  labels = np.array([[1, 2, 3], [2, 2, 4], [3, 3, 3]])  # they need 3, 4 and 5 frames
  value, gradient = jax.value_and_grad(lambda x: losses.ctc(x, np.array([4, 4, 4]), labels).sum())(logits)
  alone = losses.ctc(logits[:2], np.array([4, 4]), labels[:2])
  assert np.all(np.asarray(alone) > 0)
  np.testing.assert_allclose(value, alone.sum(), rtol=1e-6)
  assert np.all(np.asarray(gradient)[2] == 0) and np.all(np.isfinite(gradient)) and np.any(gradient[1])
  np.testing.assert_array_equal(losses.ctc(logits, np.array([0, 3, 2]), labels), 0)


def test_cross_entropy_of_frames_skips_unknown_labels():
  logits = RNG.standard_normal((3, 4, 5)).astype(np.float32)
  labels = np.array([[0, 4, 2, 2], [1, -1, 3, -1], [-1, -1, -1, -1]])
  log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
  expected = [-log_p[0, range(4), labels[0]].mean(), -(log_p[1, 0, 1] + log_p[1, 2, 3]) / 2, 0]
  np.testing.assert_allclose(losses.frame_labels(logits, labels), expected, rtol=1e-5)
  gradient = jax.grad(lambda x: losses.frame_labels(x, labels).sum())(logits)
  assert np.all(np.isfinite(gradient)) and not np.any(np.asarray(gradient)[1, [1, 3]])


def test_audio_visual_sync_is_the_clipped_logarithm_of_the_cosine():
  x = np.array([[3, 4, 0], [1, 0, 0], [0, 0, 0]], np.float32)
  y = np.array([[6, 8, 0], [-1, 0, 0], [1, 2, 3]], np.float32)
  np.testing.assert_allclose(losses.av_sync(x, y), [0, -np.log(1e-4), -np.log(1e-4)], atol=1e-5)
  expected = -np.log(4 / (5 * np.sqrt(2)))
  np.testing.assert_allclose(losses.av_sync(x[0], np.array([0, 1, 1], np.float32)), expected, rtol=1e-5)
  assert np.isfinite(jax.grad(lambda x: losses.av_sync(x, y).sum())(x)).all()
  assert losses.av_sync(x.astype(jnp.bfloat16), y.astype(jnp.bfloat16)).dtype == np.float32


def test_matching_compares_frames_with_those_they_may_be_mistaken_for():
  logits = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)
  in_sync, off_sync = np.zeros((2, 2, 3, 4), bool)
  in_sync[0, [0, 1], [1, 2]] = True
  off_sync[0] = [[True, False, False, True], [True, False, False, False], [True, True, True, True]]
  x = logits[0]

  def entropy(own, others):
    return np.log(np.exp(own) + sum(np.exp(x[place]) for place in others)) - own

  expected = [
    entropy(x[0, 1], [(0, 0), (0, 3)]),
    entropy(x[1, 2], [(1, 0)]),
    entropy(x[0, 1], [(2, 1)]),
    entropy(x[1, 2], [(2, 2)]),
  ]
  np.testing.assert_allclose(losses.matching(logits, in_sync, off_sync), [np.mean(expected), 0], rtol=1e-5)
  assert np.isfinite(jax.grad(lambda x: losses.matching(x, in_sync, off_sync).sum())(logits)).all()


def test_landmarks_are_compared_by_their_mean_distance():
  told, true = np.array([[0.0, 1, 0.5], [1, 1, 1]]), np.array([[0.0, 0.5, 1], [1, 1, 1]])
  np.testing.assert_allclose(losses.landmarks(told, true), [1 / 3, 0])


def test_frame_contrast_asks_which_speech_belongs_to_the_lips():
  rng = np.random.default_rng(0)
  speech, lips = rng.standard_normal((2, 6, 4)).astype(np.float32)
  cosine = lips @ speech.T / np.linalg.norm(lips, axis=1)[:, None] / np.linalg.norm(speech, axis=1)
  logits = cosine / 0.07
  expected = np.log(np.exp(logits).sum(1)) - np.diagonal(logits)
  np.testing.assert_allclose(losses.frame_contrast(speech, lips), expected, rtol=1e-4)
  of_speech, of_lips = jax.grad(lambda *x: losses.frame_contrast(*x).sum(), (0, 1))(speech, lips)
  assert np.abs(of_speech).max() > 0.1 and not np.any(of_lips)
