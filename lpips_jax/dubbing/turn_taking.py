"""The order of turns that explains a film best: who speaks at each moment, by the evidence of lips and of voices.

Lips tell slowly who speaks, voices tell at once that somebody else does. Both are joined by a hidden Markov model whose
states are people (and the lags of their sound), with a voice for each person that is learnt on the way, as in
expectation maximisation with hard assignments. It begins from several guesses, and keeps the best end.
"""

from collections.abc import Iterator

import numpy as np
from scipy.optimize import linear_sum_assignment

SWITCH_COST = 4.0  # logarithm of odds against a change of the speaker, or of the lag, from one step to the next
VOICE_WEIGHT = 0.15  # of the evidence of voices, whose successive steps are alike
MAX_VOICE_EVIDENCE = 6.0  # of one step, against the mean voice
MAX_ROUNDS = 10
LAG_ROUNDS = 2  # after which each person has a lag of their own, the best one where they speak
MAX_VOICES = 8
VOICE_PRIOR = 12.5  # steps of the mean voice that are added to each voice
SHRINKAGE = 0.1  # of the voices' common covariance towards a sphere
EPSILON = 1e-6  # of the variance of voices that are all alike
PIECE = 15  # steps of speech that are clustered together
CLUSTER_STARTS, CLUSTER_ROUNDS = 12, 15
CLUSTER_WEIGHT, CLUSTER_COST = 0.2, 1.6  # of voices alone


def best_turns(evidence: np.ndarray, voice: np.ndarray, spoken: np.ndarray) -> np.ndarray:
  """Returns the person who most probably speaks at each step, (n,) int; in pauses, the one who spoke before.

  Args:
    evidence: (people, lags, n), logarithms of odds of each step that a person speaks, with sound that is late by a lag.
    voice: (n, c), what the voice is like.
    spoken: (n,) bool, where there is speech.
  """
  if len(evidence) == 1 or not spoken.any():
    return np.zeros(evidence.shape[2], int)
  path = _best_path(evidence, voice, spoken)
  for _ in range(LAG_ROUNDS):
    lags = [each[:, path == person].sum(1).argmax() for person, each in enumerate(evidence)]
    path = _best_path(evidence[np.arange(len(evidence)), lags][:, None], voice, spoken)
  return path


def likeliest_path(evidence: np.ndarray, cost: float) -> tuple[np.ndarray, float]:
  """Returns the best sequence of states, (n,) int, and its worth: evidence, (states, n), less a cost for each change.

  It is Viterbi's algorithm, in which all changes cost the same.
  """
  states, steps = evidence.shape
  worth = evidence[:, 0].copy()
  before = np.zeros((steps, states), np.int32)
  every = np.arange(states)
  for step in range(1, steps):
    best = int(worth.argmax())
    change = worth < worth[best] - cost
    before[step] = np.where(change, best, every)
    worth = np.where(change, worth[best] - cost, worth) + evidence[:, step]
  path = np.empty(steps, int)
  path[-1] = worth.argmax()
  for step in range(steps - 1, 0, -1):
    path[step - 1] = before[step, path[step]]
  return path, float(worth.max())


def _best_path(evidence: np.ndarray, voice: np.ndarray, spoken: np.ndarray) -> np.ndarray:
  ends = [_refined(evidence, voice, spoken, start) for start in _starts(evidence, voice, spoken)]
  return max(ends, key=lambda end: end[1])[0]


def _starts(evidence: np.ndarray, voice: np.ndarray, spoken: np.ndarray) -> Iterator[np.ndarray]:
  """Yields first guesses of who speaks: by lips alone, and by clusters of voices, each given to a person."""
  people, lags, _ = evidence.shape
  yield likeliest_path(evidence.reshape(people * lags, -1), SWITCH_COST)[0] // lags
  for clusters in range(min(people, MAX_VOICES), min(people, MAX_VOICES) + 2):
    heard = _voice_clusters(voice, spoken, clusters)
    fit = np.stack([evidence[:, :, heard == k].sum(2).max(1) for k in range(clusters)])
    yield fit.argmax(1)[heard]
    if clusters <= people:
      yield linear_sum_assignment(fit, maximize=True)[1][heard]


def _refined(evidence: np.ndarray, voice: np.ndarray, spoken: np.ndarray, path: np.ndarray) -> tuple[np.ndarray, float]:
  """Learns voices from who speaks, and who speaks from lips and voices, until nothing changes."""
  people, lags, _ = evidence.shape
  worth = -np.inf
  for _ in range(MAX_ROUNDS):
    likelihood, mean = _voice_likelihood(voice, spoken, path, people)
    both = evidence + VOICE_WEIGHT * np.clip(likelihood - mean, -MAX_VOICE_EVIDENCE, MAX_VOICE_EVIDENCE)[:, None]
    states, path_worth = likeliest_path(both.reshape(people * lags, -1), SWITCH_COST)
    settled = (states // lags == path).all()
    path, worth = states // lags, path_worth + VOICE_WEIGHT * mean.sum()
    if settled:
      break
  return path, worth


def _voice_likelihood(
  voice: np.ndarray, spoken: np.ndarray, path: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
  """Returns the logarithms of the likelihood of each step under each voice, (count, n), and their mean, (n,).

  Voices are Gaussians with a common covariance, learnt from the steps of `path`; outside speech all are alike.
  """
  members = [spoken & (path == k) for k in range(count)]
  means = [voice[member].sum(0) / (member.sum() + VOICE_PRIOR) for member in members]
  spread = np.zeros((voice.shape[1],) * 2)
  for member, mean in zip(members, means, strict=True):
    off = voice[member] - mean
    spread += off.T @ off
  spread /= spoken.sum()
  sphere = (np.trace(spread) / len(spread) + EPSILON) * np.eye(len(spread))
  spread = (1 - SHRINKAGE) * spread + SHRINKAGE * sphere
  inverse, size = np.linalg.inv(spread), np.linalg.slogdet(spread)[1]
  likelihood = np.stack(
    [-0.5 * (np.einsum('tc,cd,td->t', voice - mean, inverse, voice - mean) + size) * spoken for mean in means]
  )
  return likelihood, likelihood.mean(0)


def _voice_clusters(voice: np.ndarray, spoken: np.ndarray, count: int) -> np.ndarray:
  """Returns the cluster of voices of each step, (n,) int, by sound alone: k-means, then a hidden Markov model."""
  steps = np.flatnonzero(spoken)
  pieces = np.array_split(steps, max(1, len(steps) // PIECE))
  points = np.stack([voice[piece].mean(0) for piece in pieces])
  rng = np.random.default_rng(0)
  labels = min((_k_means(points, count, rng) for _ in range(CLUSTER_STARTS)), key=lambda found: found[1])[0]
  path = np.zeros(len(voice), int)
  for piece, label in zip(pieces, labels, strict=True):
    path[piece] = label
  for _ in range(MAX_ROUNDS):
    likelihood, _ = _voice_likelihood(voice, spoken, path, count)
    before, path = path, likeliest_path(CLUSTER_WEIGHT * likelihood, CLUSTER_COST)[0]
    if (before == path).all():
      break
  return path


def _k_means(points: np.ndarray, count: int, rng: np.random.Generator) -> tuple[np.ndarray, float]:
  """Returns the cluster of each point, and the sum of their squared distances from its middle."""
  middles = points[rng.permutation(len(points))[:count]]
  for _ in range(CLUSTER_ROUNDS):
    distances = np.square(points[:, None] - middles).sum(2)
    labels = distances.argmin(1)
    middles = np.stack(
      [points[labels == k].mean(0) if (labels == k).any() else middles[k] for k in range(len(middles))]
    )
  return labels, float(distances.min(1).sum())
