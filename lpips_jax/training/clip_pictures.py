"""Pictures of what networks that see whole clips make of one, for people who watch a training run."""

from collections.abc import Sequence

import numpy as np

from lpips_jax.audio.alphabets import ALPHABETS, TIMED, TimedLabels, labels_of, spelled, timed_labels
from lpips_jax.audio.av_features import av_features
from lpips_jax.core.constants import FRAME_RATE
from lpips_jax.evaluation import Clip
from lpips_jax.evaluation.audio_visual import MAX_SHIFT, MINIMUM_OFFSET, cosines_by_shift
from lpips_jax.evaluation.whole_clips import length_of, padded
from lpips_jax.media.pictures import drawn
from lpips_jax.metrics import reading
from lpips_jax.models.inputs import to_unit
from lpips_jax.pretrained.network import Pretrained

MAX_FRAMES = 4 * FRAME_RATE  # of a clip that is read: of more, the picture would show nothing
SHIFTS = range(-MAX_SHIFT, MAX_SHIFT + 1)  # video frames
NOTHING = '–'


def read(reader: Pretrained, clip: Clip) -> tuple[np.ndarray, str]:
  """Has a lip reader read the first seconds of a clip.

  Returns:
    A picture (h, w, 3) uint8: the probability of each label by time, and above it what is said when, where that is
    known; and a line with what is said, and what is read.
  """
  frames, alphabet = np.asarray(to_unit(clip.frames[:MAX_FRAMES])), reader.config.model.alphabet
  logits = np.asarray(reader(padded(frames), length_of(frames)))[0, : len(frames)]
  odds = np.exp(logits - logits.max(1, keepdims=True))
  timed = timed_labels(alphabet, clip.sounds, clip.sound_ends, clip.phones) if alphabet in TIMED else None
  said = labels_of(alphabet, text=clip.text) if timed is None else timed.between(0, len(frames))
  seen = reading.likeliest(logits, len(frames))
  line = f'said: {_written(said, alphabet)}; read: {_written(seen, alphabet)}'
  return _probabilities(odds / odds.sum(1, keepdims=True), alphabet, timed), line


def compare(expert: Pretrained, clips: Sequence[Clip]) -> tuple[np.ndarray, str]:
  """Has an audio-visual expert compare the lips of clips with their sound, and with the same sound at other times.

  Returns:
    A picture (h, w, 3) uint8: the mean cosine of their features by how much later the sound is; and a line about it. A
    useful expert has a peak in the middle.
  """
  curves = np.full((len(clips), len(SHIFTS)), np.nan)
  for curve, clip in zip(curves, clips, strict=True):
    by_shift = _by_shift(expert, clip)
    reach = len(by_shift) // 2
    curve[MAX_SHIFT - reach :][: len(by_shift)] = by_shift.mean(1)
  known = np.isfinite(curves).any(0)
  if not known.any():
    return _cosines(np.zeros(0), np.zeros(0)), 'no clip is long enough to compare'
  shifts, mean = np.array(SHIFTS)[known], np.nanmean(curves[:, known], 0)
  best = int(shifts[mean.argmax()])
  others = mean[np.abs(shifts - best) >= MINIMUM_OFFSET].mean()
  where = 'their own sound' if not best else f'the sound {abs(best)} frames {"later" if best > 0 else "earlier"}'
  return _cosines(shifts, mean), f'lips are most like {where}: a cosine of {mean.max():.2f}, of others {others:.2f}'


def _by_shift(expert: Pretrained, clip: Clip) -> np.ndarray:
  if clip.audio is None:
    return np.zeros((0, 1))
  frames = np.asarray(to_unit(clip.frames))
  return cosines_by_shift(expert, av_features(clip.audio, len(frames)), frames)


def _written(labels: Sequence[int] | np.ndarray, alphabet: str) -> str:
  return ('' if alphabet == 'characters' else ' ').join(spelled(labels, alphabet)) or NOTHING


def _probabilities(shares: np.ndarray, alphabet: str, timed: TimedLabels | None) -> np.ndarray:
  """Draws (t, labels) probabilities, and what is said above."""
  from matplotlib.figure import Figure  # here: it takes a second

  names = [name.replace(' ', '␣') or NOTHING for name in ALPHABETS[alphabet]]
  seconds = len(shares) / FRAME_RATE
  figure = Figure((9, 1.5 + len(names) / 7), dpi=100, layout='constrained')
  axes = figure.subplots()
  axes.imshow(
    shares.T,
    aspect='auto',
    cmap='Blues',
    vmin=0,
    vmax=1,
    extent=(0, seconds, len(names) - 0.5, -0.5),
    interpolation='none',
  )
  axes.set_yticks(range(len(names)), names, fontsize=7)
  axes.set(xlabel='seconds', ylabel='read')
  if timed is not None:
    begins = np.append(0.0, timed.ends[:-1])
    for label, begin, end in zip(timed.labels, begins, timed.ends, strict=True):
      if label > 0 and (begin + end) / 2 < seconds:
        axes.hlines(label, begin, min(end, seconds), color='tab:orange', linewidth=1.5)
        axes.text((begin + end) / 2, -0.8, names[label], ha='center', va='bottom', fontsize=7, color='tab:orange')
  return drawn(figure)


def _cosines(shifts: np.ndarray, mean: np.ndarray) -> np.ndarray:
  from matplotlib.figure import Figure

  figure = Figure((5, 3), dpi=100, layout='constrained')
  axes = figure.subplots()
  axes.plot(shifts, mean, marker='.')
  axes.axvline(0, color='grey', linewidth=0.8)
  axes.set(xlabel='frames by which the sound is later', ylabel='cosine of lips and sound')
  return drawn(figure)
