"""Diagnosis of an expert's training data: whether sound and picture of clips agree, and what keeps the expert at ln 2.

In most cases an expert that never leaves ln 2 was given clips whose sound is shifted against the picture, belongs to
other clips or is silent, or whose face does not move.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import jax
import numpy as np

from lpips_jax import metrics
from lpips_jax.core.constants import MEL_MAX, WINDOW_FRAMES
from lpips_jax.evaluation import Clip
from lpips_jax.media.pictures import drawn
from lpips_jax.metrics.sync import MAX_SHIFT
from lpips_jax.pretrained.batches import embeddings

LAGS = range(-MAX_SHIFT, MAX_SHIFT + 1)  # video frames
MAX_SILENT_MEL = 0.1 - MEL_MAX  # mean of a mel spectrogram; digital silence is -MEL_MAX
MAX_STILL_CHANGE = 0.3  # mean change from frame to frame, of 255; a filmed face that is silent changes by more than 1
# Share of off-sync pairs of unseen clips that a useful expert ranks below the in-sync one; guessing gives 0.5:
USEFUL_RANKING = 0.6
MIN_KNOWN = 0.2  # share of clips whose own speech must stand out before shifts are reported; by chance it is 0.01
CHANCE_PERCENTILE = 99  # of the scores of speech of other clips: a peak above it stands out
MAX_STRANGERS = 16  # other clips whose speech each face is given
MIN_CLIPS = 4  # fewer give nothing to compare with
SURE_ERRORS = 3.0  # standard errors by which a shift must fit better than none
WORTH_REPORTING = 0.1  # share of clips that are shifted, silent or still


@dataclass(frozen=True)
class Diagnosis:
  """Findings of an expert about n clips.

  Attributes:
    offsets: (n,) int, video frames by which the sound of each is ahead of its picture: `metrics.SyncScores.offset`; 0
      where another fits no better than by chance.
    known: (n,) bool, whether the peak at that offset stands out among those that speech of other clips makes; where it
      does not, nothing is known of the clip.
    accepted: (31,) share of pairs that the expert takes to be in sync, by how many frames the speech is later than the
      face, from -15 to 15; a good expert has a narrow peak in the middle. NaN where no clip has such pairs.
    accuracy: (16,) by how many frames pairs are apart, 0 to 15, either way: the mean of the share of in-sync pairs
      accepted and of those pairs rejected. The first is 0.5.
    ranking: share of pairs 3 and more frames apart that the expert finds less probable than the in-sync pair; on clips
      that it was not trained on, where that is known.
    silent, still: shares of the clips without sound, and of those without movement.
  """

  offsets: np.ndarray
  known: np.ndarray
  accepted: np.ndarray
  accuracy: np.ndarray
  ranking: float
  silent: float
  still: float

  @property
  def shifted(self) -> float:
    """Share of the known clips whose sound is one frame or more away from the picture."""
    return float(np.mean(self.offsets[self.known] != 0)) if self.known.any() else 0.0

  @property
  def usual(self) -> int:
    """The offset that more than half of the known clips share; 0 where there is none."""
    offsets, counts = np.unique(self.offsets[self.known], return_counts=True)
    return int(offsets[counts.argmax()]) if counts.sum() and counts.max() > counts.sum() / 2 else 0

  @property
  def tells(self) -> bool:
    """True if the expert is good enough for its offsets to mean anything.

    Its ranking means nothing where all clips are shifted alike, as no pair is then in sync. But a shift that they share
    can be believed: had the expert memorised the clips, it would find none.
    """
    return float(self.known.mean()) >= MIN_KNOWN and (self.ranking >= USEFUL_RANKING or self.usual != 0)


def diagnose(
  expert: Callable[..., Any],
  logits: Callable[[np.ndarray], jax.Array],
  clips: Sequence[Clip],
  ranking: float | None = None,
  hear: Callable[[Clip], np.ndarray] = attrgetter('mel'),
) -> Diagnosis:
  """Returns the diagnosis of clips of at least 5 frames; those below 20 do not count for the largest shifts.

  Args:
    expert: (frames (n, 5, h, w, 3), speech (n, 80, 16)) -> two embeddings (n, d).
    logits: cosines -> log-odds of being in sync.
    clips: the clips.
    ranking: the expert's ranking of clips that it was not trained on; by default that of these.
    hear: returns the sound of a clip as the expert hears it, (m, 80).
  """
  pairs = [embeddings(expert, clip.frames, hear(clip)) for clip in clips]
  in_sync, rankings = [], []
  for faces, speech in pairs:
    positive = np.asarray(logits(faces @ speech.T)) > 0
    in_sync.append([positive.diagonal(lag).mean() if abs(lag) < len(faces) else np.nan for lag in LAGS])
    if len(faces) > WINDOW_FRAMES:
      rankings.append(metrics.sync_accuracy(faces @ speech.T, 0.5)['ranking'])
  accepted = _mean_of_known(np.array(in_sync))
  wrong = (accepted[MAX_SHIFT:] + accepted[MAX_SHIFT::-1]) / 2
  return Diagnosis(
    offsets=np.array([_offset(*pair) for pair in pairs]),
    known=_stand_out(pairs),
    accepted=accepted,
    accuracy=(accepted[MAX_SHIFT] + 1 - wrong) / 2,
    ranking=float(np.mean(rankings or [0.5])) if ranking is None else ranking,
    silent=float(np.mean([clip.mel.mean() < MAX_SILENT_MEL for clip in clips])),
    still=float(np.mean([_movement(clip.frames) < MAX_STILL_CHANGE for clip in clips])),
  )


def verdict(found: Diagnosis) -> str:
  """Returns one line about the clips: their faults, if any, and what to do."""
  complaints = []
  if found.silent >= WORTH_REPORTING:
    complaints.append(f'{found.silent:.0%} of the clips are silent')
  if found.still >= WORTH_REPORTING:
    complaints.append(f'{found.still:.0%} do not move')
  ranks = f'it ranks {found.ranking:.0%} of off-sync pairs below the in-sync one'
  if not found.tells:
    complaints = complaints or ['sound may be that of other clips, or shifted in nearly all of them']
    return (
      f'the expert says nothing about single clips yet ({ranks}, guessing is 50%; {found.known.mean():.0%} of the '
      f'clips stand out from speech of others, by chance 1%). If it stays so: {"; ".join(complaints)}'
    )
  seen = f'of the {found.known.mean():.0%} of the clips that stand out from speech of others'
  offsets = found.offsets[found.known]
  if found.usual:
    complaints.append(f'{seen}, {np.mean(offsets == found.usual):.0%} have their sound {_away(found.usual)}')
  elif found.shifted >= WORTH_REPORTING:
    away = np.abs(offsets[offsets != 0])
    low, high = np.percentile(away, [5, 95]).astype(int)
    span = f'{low} to {high} frames' if high > low else f'{low} frame{"s" if low > 1 else ""}'
    complaints.append(f'{seen}, {found.shifted:.0%} have their sound shifted, most by {span}')
  if not complaints:
    return f'sound and picture agree {seen}; {ranks}'
  return f'{"; ".join(complaints)}: data_pipeline.preprocess --sync_expert puts shifts right; {ranks}'


def picture(found: Diagnosis) -> np.ndarray:
  """Draws the offsets of the clips, and the share of pairs that the expert accepts by offset: (h, w, 3) uint8."""
  from matplotlib.figure import Figure  # here: it takes a second

  figure = Figure((9, 3), dpi=100, layout='constrained')
  lags = np.array(LAGS)
  left, middle, right = figure.subplots(1, 3)
  left.hist(found.offsets[found.known], np.append(lags, MAX_SHIFT + 1) - 0.5)
  title = f'{found.shifted:.0%} of {found.known.sum()} shifted' if found.tells else 'the expert says nothing yet'
  left.set(xlabel='frames by which the sound is ahead', ylabel='clips', title=title)
  middle.bar(lags, found.accepted)
  middle.set(xlabel='frames by which the speech is later', ylabel='taken for in sync', ylim=(0, 1))
  right.plot(lags[MAX_SHIFT:], found.accuracy, marker='.')
  right.set(xlabel='frames apart', ylabel='accuracy', ylim=(0.4, 1))
  return drawn(figure)


def _mean_of_known(shares: np.ndarray) -> np.ndarray:
  """The mean over clips, (n, lags) -> (lags,), without NaNs."""
  known = np.isfinite(shares)
  with np.errstate(invalid='ignore'):  # NaN where there is none
    return np.where(known, shares, 0).sum(0) / known.sum(0)


def _stand_out(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
  """(n,) bool: whether the best shift of each clip's own speech fits better than those of other clips' speech.

  Each face is given the speech of others, repeated to its length. Confidence is how far the best shift beats the median
  one. Those of a face and its strangers have a mean and a spread, and all of them together show what chance can do.
  """
  if len(pairs) < MIN_CLIPS:
    return np.zeros(len(pairs), bool)
  own, others = np.zeros(len(pairs)), []
  for i, (faces, speech) in enumerate(pairs):
    strangers = [pairs[(i + k) % len(pairs)][1] for k in range(1, min(MAX_STRANGERS + 1, len(pairs)))]
    chance = [_confidence(faces, np.resize(stranger, speech.shape)) for stranger in strangers]
    mean, spread = np.mean(chance), np.std(chance) + 1e-6
    own[i] = (_confidence(faces, speech) - mean) / spread
    others += [(value - mean) / spread for value in chance]
  return own > np.percentile(others, CHANCE_PERCENTILE)


def _confidence(faces: np.ndarray, speech: np.ndarray) -> float:
  return metrics.sync_scores(faces, speech).confidence


def _offset(faces: np.ndarray, speech: np.ndarray) -> int:
  """The best offset, 0 unless it fits better than none by `SURE_ERRORS` standard errors. Neighbours share frames."""
  offset = metrics.sync_scores(faces, speech).offset
  shown, heard = faces[max(offset, 0) :], speech[max(-offset, 0) :]
  length = min(len(shown), len(heard))
  if offset == 0 or length < 2 * WINDOW_FRAMES:
    return 0
  rows = slice(max(offset, 0), max(offset, 0) + length)
  gain = np.sum(shown[:length] * heard[:length], 1) - np.sum(faces[rows] * speech[rows], 1)
  error = gain.std() / np.sqrt(length / WINDOW_FRAMES)
  return offset if gain.mean() > SURE_ERRORS * error else 0


def _movement(frames: np.ndarray) -> float:
  return float(np.abs(np.diff(frames.astype(np.int16), axis=0)).mean())


def _away(offset: int) -> str:
  return f'{abs(offset)} frame{"s" if abs(offset) > 1 else ""} {"ahead of" if offset > 0 else "behind"} the picture'
