"""Scores a checkpoint on clips whose truth is known, each figure beside the controls that give it a meaning.

A generator rebuilds every clip from its masked frames, a reference frame from elsewhere in the clip, and speech. The
systems in the table:
  generated: the clip's own speech;
  other_audio: another speaker's speech; its lips should not fit this clip;
  untrained: the same network before training;
  copy_reference: the reference frame, as it is;
  target: the true frames, which is as good as the measures get.
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from lpips_jax import metrics, perceptual
from lpips_jax.conventions import FRAME_RATE, WINDOW_FRAMES
from lpips_jax.media.audio import mel_windows
from lpips_jax.metrics.mouth import opening_correlation
from lpips_jax.models import SyncExpert
from lpips_jax.models.inputs import generator_faces, to_unit
from lpips_jax.pretrained import Pretrained
from lpips_jax.training.state import init_variables

BATCH = 25  # frames or windows a call; the last call of a clip is filled up, so that each network is compiled once
PERCEPTUAL_STRIDE = 5  # frames; VGG16 costs more than all the rest
SAMPLE_COLUMNS = 8
Scores = dict[str, float]


@dataclasses.dataclass(frozen=True)
class Clip:
  """A clip to score.

  Attributes:
    name: what to call it.
    speaker: who speaks in it.
    frames: (t, h, w, 3) uint8 face crops at 25 fps.
    mel: (m, 80), `lpips_jax.media.audio.melspectrogram` of the sound.
    audio: (s,) int16, the sound itself at 16 kHz, where that is at hand.
    mouth_opening: (t,), how far the mouth is truly open, where that is known.
  """

  name: str
  speaker: str
  frames: np.ndarray
  mel: np.ndarray
  audio: np.ndarray | None = None
  mouth_opening: np.ndarray | None = None


def score_expert(expert: Pretrained, clips: Sequence[Clip], progress: bool = True) -> Scores:
  """Returns how well a sync expert tells in-sync from off-sync windows of true clips, means over the clips.

  `expert_accuracy`: the balanced share of pairs of one clip, in sync or three and more frames apart, that its
  probability puts on the right side of one half; `expert_ranking`: off-sync pairs less probable than their in-sync
  one; `offset_correct`: clips whose offset (see `metrics.sync_scores`) is within one frame of zero.
  """
  rows = []
  for clip in tqdm(clips, 'scoring the expert', unit='clip', disable=None if progress else True):
    faces, speech = embeddings(expert, clip.frames, clip.mel)
    logits = expert.model.apply(expert.variables, faces @ speech.T, method=SyncExpert.logits)
    rates = metrics.sync_accuracy(np.asarray(jax.nn.sigmoid(logits)), 0.5)
    in_place = abs(metrics.sync_scores(faces, speech).offset) <= 1
    rows.append({'accuracy': rates['accuracy'], 'ranking': rates['ranking'], 'offset_correct': float(in_place)})
  means = _means(rows)
  return {f'expert_{name}' if name != 'offset_correct' else name: value for name, value in means.items()}


def score_generator(
  generator: Pretrained, expert: Pretrained, clips: Sequence[Clip], weights: Any | None, progress: bool = True
) -> tuple[dict[str, Scores], list[np.ndarray]]:
  """Scores a generator and its controls.

  Args:
    generator: the network.
    expert: judges its lips; it should not be much weaker than `score_expert` can get.
    clips: of at least two speakers.
    weights: for the perceptual distance; without them that column is missing.
    progress: shows a bar, on a terminal.

  Returns:
    For each system its mean scores over the clips: `lower_half_psnr` (dB) and `lower_half_ssim`, `perceptual`,
    `sync_confidence`, `sync_distance`, and `mouth_correlation` where the true opening is known; and the rows of a
    picture (masked, reference, generated, target) with a frame of each of several speakers.

  Raises:
    ValueError: all clips are of one speaker.
  """
  systems = _systems(generator)
  distance = jax.jit(perceptual.lpips)
  scores = {name: [] for name in systems}
  columns = []
  for i, clip in enumerate(tqdm(clips, 'scoring the generator', unit='clip', disable=None if progress else True)):
    reference = np.roll(clip.frames, len(clip.frames) // 2, axis=0)
    other = _other_speaker(clips, i)
    for name, make in systems.items():
      made = make(clip, reference, other.mel)
      scores[name].append(_score(made, clip, expert, distance, weights))
      if name == 'generated' and len(columns) < SAMPLE_COLUMNS and clip.speaker not in {c[0] for c in columns}:
        k = (37 * i) % len(clip.frames)  # a different place in each clip
        masked = np.asarray(generator_faces(clip.frames[k], reference[k]))[..., :3]
        columns.append((clip.speaker, (masked, reference[k] / 255, made[k], clip.frames[k] / 255)))
  rows = [np.stack(row) for row in zip(*(images for _, images in columns), strict=True)]
  return {name: _means(of_clips) for name, of_clips in scores.items()}, rows


def flat(scores: dict[str, Scores]) -> Scores:
  """Names every figure: `<measure>` of the generated clips and `<measure>_<system>` of the controls."""
  return {
    measure if system == 'generated' else f'{measure}_{system}': value
    for system, measures in scores.items()
    for measure, value in measures.items()
  }


def table(scores: dict[str, Scores]) -> str:
  """Lays the scores out for a terminal, or as Markdown: a row a system, a column a measure."""
  measures = list(next(iter(scores.values())))
  lines = [['system', *measures]]
  for system, values in scores.items():
    lines.append([system, *('' if values[m] is None else f'{values[m]:.3f}' for m in measures)])
  widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
  lines.insert(1, ['-' * width for width in widths])
  return '\n'.join('| ' + ' | '.join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + ' |' for line in lines)


def _systems(generator: Pretrained) -> dict[str, Callable[[Clip, np.ndarray, np.ndarray], np.ndarray]]:
  """What makes frames (t, h, w, 3) in [0, 1] of (clip, reference frames, another speaker's mel)."""
  lead = generator.config.data.lead
  fresh = init_variables(generator.model, generator.config.model, generator.config.seed)
  untrained = dataclasses.replace(generator, variables=fresh, step=0)

  def generate(network: Pretrained, clip: Clip, reference: np.ndarray, mel: np.ndarray) -> np.ndarray:
    faces = np.asarray(generator_faces(clip.frames, reference))
    return in_batches(network, faces, mel_windows(mel, FRAME_RATE, len(faces), lead))

  return {
    'generated': lambda clip, reference, _: generate(generator, clip, reference, clip.mel),
    'other_audio': lambda clip, reference, other: generate(generator, clip, reference, other),
    'untrained': lambda clip, reference, _: generate(untrained, clip, reference, clip.mel),
    'copy_reference': lambda _, reference, __: np.asarray(to_unit(reference)),
    'target': lambda clip, _, __: np.asarray(to_unit(clip.frames)),
  }


def in_batches(network: Callable[..., Any], *inputs: np.ndarray) -> Any:
  """Applies a network to n examples, `BATCH` at a time; returns its arrays with n rows."""
  n = len(inputs[0])
  results = []
  for first in range(0, n, BATCH):
    part = [x[first : first + BATCH] for x in inputs]
    filled = [np.concatenate([x, np.repeat(x[-1:], BATCH - len(x), 0)]) for x in part]
    results.append(jax.device_get(network(*filled)))
  return jax.tree.map(lambda *parts: np.concatenate(parts)[:n], *results)


def _score(made: np.ndarray, clip: Clip, expert: Pretrained, distance: Any, weights: Any | None) -> dict:
  truth = np.asarray(to_unit(clip.frames))
  lower_made, lower_truth = metrics.lower_half(made), metrics.lower_half(truth)
  psnr = metrics.psnr(lower_made, lower_truth).mean()
  faces, speech = embeddings(expert, made, clip.mel)
  sync = metrics.sync_scores(faces, speech)
  scores = {
    'lower_half_psnr': float(psnr) if np.isfinite(psnr) else None,
    'lower_half_ssim': float(metrics.ssim(lower_made, lower_truth).mean()),
    'sync_confidence': sync.confidence,
    'sync_distance': sync.distance,
  }
  if weights is not None:
    few = slice(None, None, PERCEPTUAL_STRIDE)
    pairs = in_batches(lambda x, y: distance(2 * x - 1, 2 * y - 1, weights), made[few], truth[few])
    scores['perceptual'] = float(pairs.mean())
  if clip.mouth_opening is not None:
    scores['mouth_correlation'] = opening_correlation(made, clip.mouth_opening)
  return scores


def embeddings(expert: Pretrained, frames: np.ndarray, mel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Embeddings of the windows that start at each frame but the last four: two arrays (t - 4, d)."""
  frames = np.asarray(to_unit(frames))
  windows = np.lib.stride_tricks.sliding_window_view(frames, WINDOW_FRAMES, 0).transpose(0, 4, 1, 2, 3)
  return in_batches(expert, windows, mel_windows(mel, FRAME_RATE, len(windows)))


def _other_speaker(clips: Sequence[Clip], index: int) -> Clip:
  """The clip half the list away, or the next after it, of somebody else."""
  for step in range(len(clips)):
    other = clips[(index + len(clips) // 2 + step) % len(clips)]
    if other.speaker != clips[index].speaker:
      return other
  raise ValueError('the control with another speaker needs clips of at least two speakers')


def _means(rows: Iterable[dict]) -> dict:
  rows = list(rows)
  values = {name: [row[name] for row in rows if row[name] is not None] for name in rows[0]}
  return {name: float(np.mean(of_clips)) if of_clips else None for name, of_clips in values.items()}
