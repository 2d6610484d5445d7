"""What an expert in training says of its data: whether sound and picture of the clips agree, and what keeps it at ln 2.

An expert that never leaves ln 2 has mostly been given clips whose sound is shifted against the picture, or is not
theirs, is silent, or whose face does not move.
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
from lpips_jax.metrics.sync import MAX_SHIFT
from lpips_jax.pretrained.batches import embeddings

LAGS = range(-MAX_SHIFT, MAX_SHIFT + 1)  # video frames
SILENT = 0.1 - MEL_MAX  # mean of a mel spectrogram; digital silence is -MEL_MAX
STILL = 0.3  # mean change from frame to frame, of 255; a filmed face that says nothing changes by more than 1
TELLS = (
  0.6  # share of off-sync pairs of clips never seen that a useful expert ranks below the in-sync one; guessing: 0.5
)
STANDING_OUT = 0.2  # share of clips whose own speech must stand out for anything to be said of shifts; by chance: 0.01
BY_CHANCE = 99  # percentile of what the speech of other clips comes to, from which a peak stands out
STRANGERS = 16  # other clips whose speech each face is given
FEWEST = 4  # clips, below which there is nothing to compare with
SURE = 3.0  # standard errors by which a shift must fit better than none
WORTH_NAMING = 0.1  # share of clips that are shifted, silent or still


@dataclass(frozen=True)
class Diagnosis:
  """What an expert sees in n clips.

  Attributes:
    offsets: (n,) int, video frames by which the sound of each is ahead of its picture: `metrics.SyncScores.offset`; 0
      where another fits no better than chance would have it.
    known: (n,) bool, whether the peak at that offset stands out among those that speech of other clips makes: nothing
      is known of the others.
    accepted: (31,) share of pairs that the expert takes to be in sync, by how many frames the speech is later than the
      face, from -15 to 15; a good one has a narrow peak in the middle. NaN where no clip has such pairs.
    accuracy: (16,) how well it tells pairs 0 to 15 frames apart, either way, from in-sync ones: the mean of the share
      of in-sync pairs accepted and of the others rejected. The first is 0.5.
    ranking: share of pairs 3 and more frames apart that it finds less probable than the in-sync pair; of clips that it
      was not trained on, where that is known.
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
    """Share, of the clips of which that is known, whose sound is one frame or more away from its picture."""
    return float(np.mean(self.offsets[self.known] != 0)) if self.known.any() else 0.0

  @property
  def usual(self) -> int:
    """The offset that more than half of the known clips share; 0 where there is none."""
    offsets, counts = np.unique(self.offsets[self.known], return_counts=True)
    return int(offsets[counts.argmax()]) if counts.sum() and counts.max() > counts.sum() / 2 else 0

  @property
  def tells(self) -> bool:
    """Whether the expert is good enough for its offsets to mean anything.

    Its ranking says nothing where all clips are shifted alike: no pair is then in sync. What it has learnt by heart of
    them would be no shift, so that one which they share is believed.
    """
    return float(self.known.mean()) >= STANDING_OUT and (self.ranking >= TELLS or self.usual != 0)


def diagnose(
  expert: Callable[..., Any],
  logits: Callable[[np.ndarray], jax.Array],
  clips: Sequence[Clip],
  ranking: float | None = None,
  hear: Callable[[Clip], np.ndarray] = attrgetter('mel'),
) -> Diagnosis:
  """Returns what an expert says of clips of at least 5 frames; shorter ones than 20 say nothing of the largest shifts.

  Args:
    expert: (frames (n, 5, h, w, 3), speech (n, 80, 16)) -> two embeddings (n, d).
    logits: cosines -> log-odds of being in sync.
    clips: those to look at.
    ranking: that of clips which it was not trained on; by default that of these.
    hear: returns the sound of a clip as the expert hears it, (m, 80).
  """
  pairs = [embeddings(expert, clip.frames, hear(clip)) for clip in clips]
  accepted, rankings = [], []
  for faces, speech in pairs:
    in_sync = np.asarray(logits(faces @ speech.T)) > 0
    accepted.append([in_sync.diagonal(lag).mean() if abs(lag) < len(faces) else np.nan for lag in LAGS])
    if len(faces) > WINDOW_FRAMES:
      rankings.append(metrics.sync_accuracy(faces @ speech.T, 0.5)['ranking'])
  accepted = _mean_of_known(np.array(accepted))
  wrong = (accepted[MAX_SHIFT:] + accepted[MAX_SHIFT::-1]) / 2
  return Diagnosis(
    offsets=np.array([_offset(*pair) for pair in pairs]),
    known=_stand_out(pairs),
    accepted=accepted,
    accuracy=(accepted[MAX_SHIFT] + 1 - wrong) / 2,
    ranking=float(np.mean(rankings or [0.5])) if ranking is None else ranking,
    silent=float(np.mean([clip.mel.mean() < SILENT for clip in clips])),
    still=float(np.mean([_movement(clip.frames) < STILL for clip in clips])),
  )


def verdict(found: Diagnosis) -> str:
  """Returns one line: what is wrong with the clips, if anything, and what to do."""
  complaints = []
  if found.silent >= WORTH_NAMING:
    complaints.append(f'{found.silent:.0%} of the clips are silent')
  if found.still >= WORTH_NAMING:
    complaints.append(f'{found.still:.0%} do not move')
  told = f'it ranks {found.ranking:.0%} of off-sync pairs below the in-sync one'
  if not found.tells:
    complaints = complaints or ['sound may be that of other clips, or shifted in nearly all of them']
    return (
      f'the expert tells nothing of single clips yet ({told}, guessing is 50%; {found.known.mean():.0%} of the clips '
      f'stand out from speech of others, by chance 1%). If it stays so: {"; ".join(complaints)}'
    )
  seen = f'of the {found.known.mean():.0%} of the clips that stand out from speech of others'
  offsets = found.offsets[found.known]
  if found.usual:
    complaints.append(f'{seen}, {np.mean(offsets == found.usual):.0%} have their sound {_away(found.usual)}')
  elif found.shifted >= WORTH_NAMING:
    away = np.abs(offsets[offsets != 0])
    low, high = np.percentile(away, [5, 95]).astype(int)
    span = f'{low} to {high} frames' if high > low else f'{low} frame{"s" if low > 1 else ""}'
    complaints.append(f'{seen}, {found.shifted:.0%} have their sound shifted, most by {span}')
  if not complaints:
    return f'sound and picture agree {seen}; {told}'
  return f'{"; ".join(complaints)}: data_pipeline.preprocess --sync_expert puts shifts right; {told}'


def picture(found: Diagnosis) -> np.ndarray:
  """Draws the offsets of the clips, and what the expert accepts by offset: (h, w, 3) uint8."""
  from matplotlib.backends.backend_agg import FigureCanvasAgg  # here: it takes a second
  from matplotlib.figure import Figure

  figure = Figure((9, 3), dpi=100, layout='constrained')
  lags = np.array(LAGS)
  left, middle, right = figure.subplots(1, 3)
  left.hist(found.offsets[found.known], np.append(lags, MAX_SHIFT + 1) - 0.5)
  title = f'{found.shifted:.0%} of {found.known.sum()} shifted' if found.tells else 'the expert tells nothing yet'
  left.set(xlabel='frames by which the sound is ahead', ylabel='clips', title=title)
  middle.bar(lags, found.accepted)
  middle.set(xlabel='frames by which the speech is later', ylabel='taken for in sync', ylim=(0, 1))
  right.plot(lags[MAX_SHIFT:], found.accuracy, marker='.')
  right.set(xlabel='frames apart', ylabel='accuracy', ylim=(0.4, 1))
  canvas = FigureCanvasAgg(figure)
  canvas.draw()
  return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _mean_of_known(shares: np.ndarray) -> np.ndarray:
  """The mean over clips, (n, lags) -> (lags,), of those that are no NaN."""
  known = np.isfinite(shares)
  with np.errstate(invalid='ignore'):  # NaN where there is none
    return np.where(known, shares, 0).sum(0) / known.sum(0)


def _stand_out(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
  """Whether the best shift of each clip's own speech beats the median one by more than that of other clips' does.

  Each face is given the speech of others, repeated to its length; by their confidence those of one face have a mean and
  a spread, and all of them together say what is still chance.
  """
  if len(pairs) < FEWEST:
    return np.zeros(len(pairs), bool)
  own, others = np.zeros(len(pairs)), []
  for i, (faces, speech) in enumerate(pairs):
    strangers = [pairs[(i + k) % len(pairs)][1] for k in range(1, min(STRANGERS + 1, len(pairs)))]
    chance = [_confidence(faces, np.resize(stranger, speech.shape)) for stranger in strangers]
    mean, spread = np.mean(chance), np.std(chance) + 1e-6
    own[i] = (_confidence(faces, speech) - mean) / spread
    others += [(value - mean) / spread for value in chance]
  return own > np.percentile(others, BY_CHANCE)


def _confidence(faces: np.ndarray, speech: np.ndarray) -> float:
  return metrics.sync_scores(faces, speech).confidence


def _offset(faces: np.ndarray, speech: np.ndarray) -> int:
  """The best offset, 0 unless it fits better than none by `SURE` standard errors; neighbours share their frames."""
  offset = metrics.sync_scores(faces, speech).offset
  shown, said = faces[max(offset, 0) :], speech[max(-offset, 0) :]
  length = min(len(shown), len(said))
  if offset == 0 or length < 2 * WINDOW_FRAMES:
    return 0
  rows = slice(max(offset, 0), max(offset, 0) + length)
  gain = np.sum(shown[:length] * said[:length], 1) - np.sum(faces[rows] * speech[rows], 1)
  error = gain.std() / np.sqrt(length / WINDOW_FRAMES)
  return offset if gain.mean() > SURE * error else 0


def _movement(frames: np.ndarray) -> float:
  return float(np.abs(np.diff(frames.astype(np.int16), axis=0)).mean())


def _away(offset: int) -> str:
  return f'{abs(offset)} frame{"s" if abs(offset) > 1 else ""} {"ahead of" if offset > 0 else "behind"} the picture'
