"""What judges a take: the truth, a sync expert, SyncNet, and the eye for mouths that needs no weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import logging

from lpips_jax import metrics, perceptual, pretrained
from lpips_jax.core.errors import UserError
from lpips_jax.evaluation.candidates import Candidate
from lpips_jax.faces.mouth import correlation, mouth_opening
from lpips_jax.layers.precision import in_full
from lpips_jax.media.pictures import to_bytes
from lpips_jax.metrics.leakage import open_share, rest_deviation
from lpips_jax.metrics.lse import lse
from lpips_jax.models import SyncExpert
from lpips_jax.models.inputs import to_unit
from lpips_jax.models.syncnet import IMAGE_SIZE as SYNCNET_SIZE
from lpips_jax.perceptual.weights import KINDS, PRETRAINED
from lpips_jax.pretrained.batches import at_size, embeddings, in_batches
from lpips_jax.pretrained.checkpoint import Pretrained
from lpips_jax.pretrained.devices import on_all_devices

STRIDE = 5  # frames; VGG16 and Inception cost more than all the rest, and neighbours hardly differ
NEAR = 1  # frames by which the offset of a filmed clip may be off
Scores = dict[str, float | None]


class Measure(NamedTuple):
  """A column: its title, and whether more of it is better, if that can be said."""

  title: str
  higher: bool | None = None


MEASURES = {
  'lower_half_psnr': Measure('PSNR, dB', True),
  'lower_half_ssim': Measure('SSIM', True),
  'perceptual': Measure('LPIPS', False),
  'fid': Measure('FID', False),
  'lse_c': Measure('LSE-C', True),
  'lse_d': Measure('LSE-D', False),
  'lse_offset': Measure('offset, frames'),
  'sync_confidence': Measure('sync confidence', True),
  'sync_distance': Measure('sync distance', False),
  'sync_offset': Measure('sync offset, frames'),
  'mouth_correlation': Measure('mouth, correlation', True),
  'mouth_motion': Measure('mouth, motion'),
  'leak': Measure('mouth, leak', False),
}
OF_THE_EXPERT = 'expert_accuracy', 'expert_ranking', 'offset_correct'
OF_SILENCE = 'open_share', 'rest_deviation'  # of takes that were made of it: `lpips_jax.metrics.leakage`
BY_SYNCNET = 'lse_c', 'lse_d', 'lse_offset'
BY_THE_EXPERT = 'sync_confidence', 'sync_distance', 'sync_offset', *OF_THE_EXPERT


@dataclass(frozen=True)
class Scorers:
  """Those that could be had.

  Attributes:
    expert: a sync expert.
    syncnet: SyncNet v2.
    inception: the network whose features FID compares.
    weights: of LPIPS.
    missing: of each measure that cannot be taken, why.
  """

  expert: Pretrained | None = None
  syncnet: Pretrained | None = None
  inception: Pretrained | None = None
  weights: Any | None = None
  missing: dict[str, str] = field(default_factory=dict)

  @property
  def identity(self) -> dict[str, str]:
    """Other judges have another."""
    networks = {'expert': self.expert, 'syncnet': self.syncnet, 'inception': self.inception}
    known = {name: network.fingerprint for name, network in networks.items() if network is not None}
    return known | ({} if self.weights is None else {'lpips': _fingerprint(self.weights)})

  @in_full
  def score(self, candidate: Candidate) -> Scores:
    """Returns every measure of `MEASURES`, `OF_THE_EXPERT` and `OF_SILENCE` that this take can be judged by.

    Raises:
      ValueError: the take is too short.
    """
    frames = np.asarray(to_unit(candidate.frames))
    scores: Scores = {}
    if candidate.truth is not None:
      scores |= self._against_truth(frames, np.asarray(to_unit(candidate.truth)))
    if self.syncnet is not None and candidate.audio is not None:
      scores |= self._by_syncnet(candidate)
    if self.expert is not None:
      scores |= self._by_expert(frames, candidate)
    return scores | _of_the_mouth(frames, candidate)

  @in_full
  def features(self, candidate: Candidate) -> np.ndarray | None:
    """Inception's features of some of the frames, (n, 2048), by which FID compares sets of takes."""
    if self.inception is None:
      return None
    return in_batches(self.inception, np.asarray(to_unit(candidate.frames[::STRIDE])))

  def _against_truth(self, frames: np.ndarray, truth: np.ndarray) -> Scores:
    lower, lower_truth = metrics.lower_half(frames), metrics.lower_half(truth)
    psnr = metrics.psnr(lower, lower_truth).mean()
    scores: Scores = {
      'lower_half_psnr': float(psnr) if np.isfinite(psnr) else None,  # equal frames have none
      'lower_half_ssim': float(metrics.ssim(lower, lower_truth).mean()),
    }
    if self.weights is not None:
      scores['perceptual'] = float(in_batches(self._distance, frames[::STRIDE], truth[::STRIDE]).mean())
    return scores

  @cached_property
  def _distance(self) -> Callable[..., jax.Array]:
    return partial(jax.jit(lambda weights, x, y: perceptual.lpips(2 * x - 1, 2 * y - 1, weights)), self.weights)

  def _by_syncnet(self, candidate: Candidate) -> Scores:
    frames = candidate.tracked
    if frames is None:
      frames = at_size(to_bytes(candidate.frames), SYNCNET_SIZE)
    scores = lse(partial(in_batches, self.syncnet), frames, candidate.audio)
    return {'lse_c': scores.confidence, 'lse_d': scores.distance, 'lse_offset': float(scores.offset)}

  def _by_expert(self, frames: np.ndarray, candidate: Candidate) -> Scores:
    faces, speech = embeddings(
      self.expert, at_size(frames, self.expert.config.model.image_size), candidate.heard_by(self.expert.config)
    )
    sync = metrics.sync_scores(faces, speech)
    scores: Scores = {
      'sync_confidence': sync.confidence,
      'sync_distance': sync.distance,
      'sync_offset': float(sync.offset),
    }
    if candidate.filmed:
      logits = self.expert.model.apply(self.expert.variables, faces @ speech.T, method=SyncExpert.logits)
      rates = metrics.sync_accuracy(np.asarray(jax.nn.sigmoid(logits)), 0.5)
      in_place = float(abs(sync.offset) <= NEAR)
      scores |= dict(zip(OF_THE_EXPERT, (rates['accuracy'], rates['ranking'], in_place), strict=True))
    return scores


def perceptual_source(asked: str | None, generators: Sequence[Pretrained]) -> dict[str, Any]:
  """Returns the arguments of `perceptual.load_weights`: those asked for, else the first generator's, else the released.

  A checkpoint does not decide which files are read: where its weights were files, the released ones judge it.
  """
  if asked:
    return {'source': asked}
  own = dict(generators[0].config.perceptual) if generators else {'source': PRETRAINED}
  if own['source'] not in KINDS:
    logging.warning('LPIPS is by its released weights: for those in %s, give --perceptual', own['source'])
    return {'source': PRETRAINED}
  return own


def load_scorers(
  expert: Pretrained | str | None,
  syncnet: str | None,
  inception: str | None,
  perceptual_source: dict[str, Any] | None,
  trust_stablehlo: bool = False,
) -> Scorers:
  """Loads what can be had, and notes why the rest cannot.

  Args:
    expert: a sync expert, or why there is none.
    syncnet: directory of a converted SyncNet v2, if any.
    inception: directory of a converted Inception, if any.
    perceptual_source: the arguments of `perceptual.load_weights`; None where there is no truth to compare with.
    trust_stablehlo: whether SyncNet and Inception may be StableHLO, which is a program.

  Raises:
    UserError: a directory that was given holds something else.
  """
  missing = {}
  if not isinstance(expert, Pretrained):
    missing |= dict.fromkeys(BY_THE_EXPERT, expert)
  if syncnet is None:
    missing |= dict.fromkeys(BY_SYNCNET, 'needs --syncnet, a converted syncnet_v2.model')
  if inception is None:
    missing['fid'] = "needs --inception, pytorch-fid's weights converted"
  weights = None
  try:
    if perceptual_source is not None:
      weights = perceptual.load_weights(**perceptual_source)
  except UserError as error:
    missing['perceptual'] = str(error)
  networks = (
    expert if isinstance(expert, Pretrained) else None,
    _load(syncnet, 'syncnet', trust_stablehlo),
    _load(inception, 'inception', trust_stablehlo),
  )
  return Scorers(*(on_all_devices(network) for network in networks), weights, missing)


def _load(directory: str | None, task: str, trust_stablehlo: bool) -> Pretrained | None:
  if directory is None:
    return None
  network = pretrained.load(directory, trust_stablehlo)
  if network.config.task != task:
    raise UserError(f'{directory} holds a {network.config.task}, not a {task}: see lpips_jax.interop.convert')
  return network


def _of_the_mouth(frames: np.ndarray, candidate: Candidate) -> Scores:
  """Returns scores of the opening of the mouth; its motion and its deviation at rest are in hundredths of it."""
  opening = mouth_opening(frames)
  scores: Scores = {}
  if candidate.mouth_opening is not None:
    scores['mouth_correlation'] = correlation(opening, candidate.mouth_opening)
  scores['mouth_motion'] = 100 * float(opening.std())
  if candidate.reference is not None:
    scores['leak'] = correlation(opening, mouth_opening(candidate.reference))
  if candidate.speaking is not None:
    beside = mouth_opening(frames, candidate.speaking)
    at_rest = open_share(beside, mouth_opening(candidate.speaking)), 100 * rest_deviation(beside)
    scores |= dict(zip(OF_SILENCE, at_rest, strict=True))
  return scores


def _fingerprint(weights: Any) -> str:
  return Pretrained(None, None, weights, 0).fingerprint
