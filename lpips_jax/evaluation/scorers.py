"""Scorers of one candidate: its truth, experts of lips and speech, Inception, LPIPS, and a measure of mouths."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import jax
import numpy as np
from absl import logging

from lpips_jax import metrics, perceptual, pretrained
from lpips_jax.core.errors import UserError
from lpips_jax.evaluation import audio_visual, lip_reading
from lpips_jax.evaluation.candidates import Candidate
from lpips_jax.evaluation.measures import (
  BY_SYNC_EXPERT,
  BY_SYNCNET,
  EXPERT_MEASURES,
  SILENCE_MEASURES,
  Measure,
  Scores,
  reading_measures,
  with_readers,
)
from lpips_jax.faces.mouth import correlation, mouth_opening
from lpips_jax.layers.precision import full_precision
from lpips_jax.media.pictures import to_uint8
from lpips_jax.metrics.leakage import open_share, rest_deviation
from lpips_jax.metrics.lse import lse
from lpips_jax.models import SyncExpert
from lpips_jax.models.inputs import lower_half, to_unit
from lpips_jax.models.syncnet import IMAGE_SIZE as SYNCNET_SIZE
from lpips_jax.perceptual.distance import Weights
from lpips_jax.perceptual.weights import NAMED_SOURCES, PRETRAINED
from lpips_jax.pretrained import Exported, Pretrained, fingerprint_of
from lpips_jax.pretrained.batches import at_size, embeddings, in_batches
from lpips_jax.pretrained.devices import on_all_devices

FRAME_STRIDE = 5  # VGG16 and Inception see every fifth frame: they cost most, and neighbours hardly differ
MAX_OFFSET_ERROR = 1  # frames by which the offset of a filmed clip may differ from 0
Network = Pretrained | Exported


@dataclass(frozen=True)
class Scorers:
  """The scorers whose weights are available.

  Attributes:
    expert: a sync expert.
    syncnet: SyncNet v2.
    inception: the network whose features FID compares.
    lpips_weights: from `perceptual.load_weights`.
    missing: the reason for each measure that cannot be taken.
    readers: lip readers by name; '' is the name of the only one.
    av_expert: an audio-visual expert.
    remarks: what is to be known about these networks, a sentence each.
  """

  expert: Pretrained | None = None
  syncnet: Network | None = None
  inception: Network | None = None
  lpips_weights: Weights | None = None
  missing: dict[str, UserError] = field(default_factory=dict)
  readers: Mapping[str, Pretrained] = field(default_factory=dict)
  av_expert: Pretrained | None = None
  remarks: Sequence[str] = ()

  @property
  def columns(self) -> dict[str, Measure]:
    """The columns of the table that these scorers may fill, in order."""
    return with_readers((name, reader.config.model.alphabet) for name, reader in self.readers.items())

  @property
  def unmet(self) -> dict[str, UserError]:
    """The reason for each measure that was asked for, if no candidate allows it."""
    reasons = {} if self.av_expert is None else dict(audio_visual.UNMET)
    for name, reader in self.readers.items():
      alphabet = reader.config.model.alphabet
      reasons |= dict.fromkeys(reading_measures(name, alphabet), lip_reading.UNMET[alphabet])
    return reasons

  @property
  def cache_key(self) -> dict[str, str]:
    """Changes when any scorer does; part of each score's cache key."""
    networks: dict[str, Network | None] = {'expert': self.expert, 'syncnet': self.syncnet, 'inception': self.inception}
    networks |= {'av_expert': self.av_expert} | {f'reader {name}': reader for name, reader in self.readers.items()}
    fingerprints = {name: network.fingerprint for name, network in networks.items() if network is not None}
    return fingerprints | ({} if self.lpips_weights is None else {'lpips': fingerprint_of(self.lpips_weights)})

  @full_precision
  def score(self, candidate: Candidate) -> Scores:
    """Returns every measure of `lpips_jax.evaluation.measures` that a candidate allows, and what weighs it.

    Raises:
      ValueError: the candidate is too short.
    """
    frames = np.asarray(to_unit(candidate.frames))
    scores: Scores = {}
    if candidate.truth is not None:
      scores |= self._against_truth(frames, np.asarray(to_unit(candidate.truth)))
    if self.syncnet is not None and candidate.audio is not None:
      scores |= _by_syncnet(self.syncnet, candidate, candidate.audio)
    if self.expert is not None:
      scores |= _by_sync_expert(self.expert, frames, candidate)
    if self.av_expert is not None and candidate.audio is not None:
      scores |= audio_visual.scores(self.av_expert, frames, candidate, candidate.audio)
    for name, reader in self.readers.items():
      scores |= lip_reading.errors(name, reader, frames, candidate)
    return scores | _by_mouth(frames, candidate)

  @full_precision
  def features(self, candidate: Candidate) -> np.ndarray | None:
    """Returns Inception's features of some of the frames, (n, 2048), by which FID compares sets of candidates."""
    if self.inception is None:
      return None
    return in_batches(self.inception, np.asarray(to_unit(candidate.frames[::FRAME_STRIDE])))

  def _against_truth(self, frames: np.ndarray, truth: np.ndarray) -> Scores:
    lower, lower_truth = (np.asarray(lower_half(x)) for x in (frames, truth))
    psnr = metrics.psnr(lower, lower_truth).mean()
    scores: Scores = {
      'lower_half_psnr': float(psnr) if np.isfinite(psnr) else None,  # infinite for equal frames
      'lower_half_ssim': float(metrics.ssim(lower, lower_truth).mean()),
    }
    if self.lpips_weights is not None:
      distances = in_batches(self._lpips, frames[::FRAME_STRIDE], truth[::FRAME_STRIDE])
      scores['perceptual'] = float(distances.mean())
    return scores

  @cached_property
  def _lpips(self) -> Callable[..., jax.Array]:
    return partial(jax.jit(lambda weights, x, y: perceptual.lpips(2 * x - 1, 2 * y - 1, weights)), self.lpips_weights)


def perceptual_source(asked: str | None, generators: Sequence[Network]) -> dict[str, Any]:
  """Returns the arguments of `perceptual.load_weights`, for the LPIPS that scores generators.

  A checkpoint does not decide which files are read: if its weights were files, the released ones are used instead.

  Args:
    asked: the source that was asked for, if any; it takes precedence over the first generator's, and that over the
      released weights.
    generators: those that are scored.
  """
  if asked:
    return {'source': asked}
  own = dict(generators[0].config.perceptual) if generators else {'source': PRETRAINED}
  if own['source'] not in NAMED_SOURCES:
    logging.warning('LPIPS uses its released weights: pass perceptual=%s for those of the checkpoint', own['source'])
    return {'source': PRETRAINED}
  return own


def load_scorers(
  expert: Pretrained | UserError,
  syncnet: str | None,
  inception: str | None,
  perceptual_source: dict[str, Any] | None,
  trust_stablehlo: bool = False,
) -> Scorers:
  """Loads the scorers that are available, and notes why the others are not.

  Args:
    expert: a sync expert, or the error that says why there is none.
    syncnet: directory of a converted SyncNet v2, if any.
    inception: directory of a converted Inception, if any.
    perceptual_source: the arguments of `perceptual.load_weights`; None where there is no truth to compare with.
    trust_stablehlo: whether SyncNet and Inception may be StableHLO, which is a program.

  Raises:
    UserError: a directory that was given holds another network.
  """
  missing: dict[str, UserError] = {}
  if isinstance(expert, UserError):
    missing |= dict.fromkeys(BY_SYNC_EXPERT, expert)
  if syncnet is None:
    missing |= dict.fromkeys(BY_SYNCNET, UserError('needs syncnet, a converted syncnet_v2.model', 'syncnet'))
  if inception is None:
    missing['fid'] = UserError("needs inception, pytorch-fid's weights converted", 'inception')
  lpips_weights = None
  try:
    if perceptual_source is not None:
      lpips_weights = perceptual.load_weights(**perceptual_source)
  except UserError as error:
    missing['perceptual'] = error
  return Scorers(
    None if isinstance(expert, UserError) else on_all_devices(expert),
    on_all_devices(_load(syncnet, 'syncnet', trust_stablehlo)),
    on_all_devices(_load(inception, 'inception', trust_stablehlo)),
    lpips_weights,
    missing,
  )


def _load(directory: str | None, task: str, trust_stablehlo: bool) -> Network | None:
  if directory is None:
    return None
  network = pretrained.load(directory, trust_stablehlo)
  if network.config.task != task:
    raise UserError(f'{directory} holds a {network.config.task}, not a {task}: see lpips_jax.interop.convert')
  return network


def _by_syncnet(syncnet: Network, candidate: Candidate, audio: np.ndarray) -> Scores:
  crops = candidate.syncnet_crops
  if crops is None:
    crops = at_size(to_uint8(candidate.frames), SYNCNET_SIZE)
  sync = lse(partial(in_batches, syncnet), crops, audio)
  return {'lse_c': sync.confidence, 'lse_d': sync.distance, 'lse_offset': float(sync.offset)}


def _by_sync_expert(expert: Pretrained, frames: np.ndarray, candidate: Candidate) -> Scores:
  crops = at_size(frames, expert.config.model.image_size)
  faces, speech = embeddings(expert, crops, candidate.heard_by(expert.config))
  sync = metrics.sync_scores(faces, speech)
  scores: Scores = {
    'sync_confidence': sync.confidence,
    'sync_distance': sync.distance,
    'sync_offset': float(sync.offset),
  }
  if candidate.filmed:
    logits = np.asarray(expert.model.apply(expert.variables, faces @ speech.T, method=SyncExpert.logits))
    rates = metrics.sync_accuracy(np.asarray(jax.nn.sigmoid(logits)), 0.5)
    offset_correct = float(abs(sync.offset) <= MAX_OFFSET_ERROR)
    scores |= dict(zip(EXPERT_MEASURES, (rates['accuracy'], rates['ranking'], offset_correct), strict=True))
  return scores


def _by_mouth(frames: np.ndarray, candidate: Candidate) -> Scores:
  """Scores of the opening of the mouth; motion and deviation at rest are in hundredths of the measured opening."""
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
    scores |= dict(zip(SILENCE_MEASURES, at_rest, strict=True))
  return scores
