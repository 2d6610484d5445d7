"""The sounds that the slots of a generator's audio-lip memory stand for.

  python -m benchmarks.quality.memory --checkpoint=runs/memory/checkpoint --output=memory.json [--film=a,p]

Each frame of fresh clips of the embedded corpus has a strongest slot, the one that its speech recalls most of, and a
viseme, that of the sound which is spoken at the frame's middle. On half of the clips each slot is given the viseme that
it is most often the strongest slot of; on the other half slots tell visemes in this way, and then the halves change
places. `told` is the share of frames whose viseme is told rightly; `shuffled` is the same with the visemes of all
frames shuffled, the mean of several shuffles. Both are found over all frames, and over those in which somebody speaks.

Beside the JSON file are a picture, with the same name and the suffix .png, of the share of each viseme in the frames of
each slot, and a film, .mp4, that walks between the slots of two visemes on one face: to the left with the speech code
of silence throughout, to the right with that of the clip.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import flags

from benchmarks import commands
from data_pipeline import corpora
from data_pipeline.input import decode_clip
from lpips_jax import pretrained, provenance
from lpips_jax.audio.alphabets import UNKNOWN, timed_labels
from lpips_jax.audio.condition import windows_for
from lpips_jax.audio.visemes import REST, VISEMES
from lpips_jax.core import cli
from lpips_jax.core.constants import FRAME_RATE
from lpips_jax.evaluation import Clip
from lpips_jax.evaluation.candidates import silence_for
from lpips_jax.evaluation.references import references_of
from lpips_jax.media.pictures import to_uint8, write_png
from lpips_jax.media.video_writer import write_clip
from lpips_jax.models.inputs import generator_faces
from lpips_jax.models.memory import addresses_of, draw_mixtures
from lpips_jax.pretrained import Pretrained
from lpips_jax.pretrained.batches import at_size, in_batches

SHUFFLES = 20
WALK_FRAMES = 2 * FRAME_RATE  # there, and as many back
FILM_SIDE = 256  # pixels of a face in the film


class Heard(NamedTuple):
  """The n frames of all clips.

  Attributes:
    addresses: (n, slots), what speech recalls of each slot.
    visemes: (n,) indices into `VISEMES`.
    clips: (n,) the number of the clip.
  """

  addresses: np.ndarray
  visemes: np.ndarray
  clips: np.ndarray


def define_flags() -> None:
  flags.DEFINE_string('checkpoint', None, 'A generator with a memory.', required=True)
  flags.DEFINE_string('output', None, 'JSON file for the figures; picture and film are written beside it.')
  flags.DEFINE_string('dataset', 'talking_faces/quickstart', 'The config of the embedded corpus.')
  flags.DEFINE_string('data_dir', 'runs/data', 'Directory of the TFDS datasets.')
  flags.DEFINE_integer('clips', 32, 'Clips that are heard.', lower_bound=2)
  flags.DEFINE_integer('seed', commands.HELD_OUT_SEED, 'Of the speakers.')
  flags.DEFINE_list('film', ['a', 'p'], 'Two visemes, between whose slots the film walks.')
  commands.register_choices('film', VISEMES)
  flags.register_validator('film', lambda given: len(set(given)) == len(given) == 2, 'give two different visemes')


def main() -> None:
  given = flags.FLAGS
  commands.require_directory_of(given.output)
  generator = pretrained.load_weights(given.checkpoint)
  if not generator.config.model.get('memory_slots'):
    cli.fail(f'{given.checkpoint} has no memory: train one with configs/quickstart.py:memory')
  source = corpora.fresh_test_source(given.dataset, given.seed, given.data_dir)
  size = generator.config.model.image_size
  clips = [decode_clip(source[number], size) for number in range(min(given.clips, len(source)))]
  heard = hear(generator, clips)
  shares = shares_by_slot(heard)
  figures = {'clips': len(clips), 'frames': len(heard.visemes), **tells(heard)} | {'slots': _rows(heard, shares)}
  _print(figures)
  commands.write_figures(given.output, figures)
  if given.output:
    write_png(Path(given.output).with_suffix('.png'), picture(shares))
    ends = [slot_of(heard, VISEMES.index(name)) for name in given.film]
    film = np.stack(list(walk(generator, clips[0], *ends)))
    marks = provenance.marks(provenance.Statement('dubbed'))
    write_clip(Path(given.output).with_suffix('.mp4'), film, film.shape[1:3], None, marks)


def hear(generator: Pretrained, clips: Sequence[Clip]) -> Heard:
  """Returns what the speech of each frame recalls, and its viseme; frames of which nobody knows it are left out."""

  def find(speech: np.ndarray) -> np.ndarray:
    return np.asarray(addresses_of(generator.model, generator.variables, speech))

  parts = []
  for number, clip in enumerate(clips):
    windows = windows_for(generator.config, clip.heard_by(generator.config), len(clip.frames))
    visemes = timed_labels('visemes', clip.sounds, clip.sound_ends, clip.phones).at_frames(len(clip.frames))
    known = visemes != UNKNOWN
    parts.append(Heard(in_batches(find, windows)[known], visemes[known], np.full(known.sum(), number)))
  return Heard(*map(np.concatenate, zip(*parts, strict=True)))


def tells(heard: Heard) -> dict[str, dict[str, float]]:
  """Returns how often the strongest slot tells the viseme: see the module.

  Returns:
    For `all` frames and for those that are `spoken`: `told`, `shuffled` and `times`, the first over the second.
  """
  rng = np.random.default_rng(0)
  figures = {}
  for name, kept in (('all', heard.visemes >= 0), ('spoken', heard.visemes != VISEMES.index(REST))):
    slots, visemes, half = heard.addresses.argmax(1)[kept], heard.visemes[kept], heard.clips[kept] % 2
    told = share_told(slots, visemes, half)
    shuffled = float(np.mean([share_told(slots, rng.permutation(visemes), half) for _ in range(SHUFFLES)]))
    figures[name] = {'told': told, 'shuffled': shuffled, 'times': told / shuffled}
  return figures


def share_told(slots: np.ndarray, visemes: np.ndarray, half: np.ndarray) -> float:
  """Returns the share of frames whose viseme is the one that their slot mostly has in the other half.

  Args:
    slots: (n,) the strongest slot of each frame.
    visemes: (n,) its viseme.
    half: (n,) 0 or 1; a slot that the other half does not use tells the other half's most frequent viseme.
  """
  right = 0
  for tested in (0, 1):
    learnt = half != tested
    counts = np.zeros((slots.max() + 1, len(VISEMES)))
    np.add.at(counts, (slots[learnt], visemes[learnt]), 1)
    counts[~counts.any(1)] = counts.sum(0)
    right += int(np.sum(counts.argmax(1)[slots[~learnt]] == visemes[~learnt]))
  return right / len(slots)


def shares_by_slot(heard: Heard) -> np.ndarray:
  """Returns the share of each viseme in the frames whose strongest slot it is, (slots, visemes), or zeros."""
  counts = np.zeros((heard.addresses.shape[1], len(VISEMES)))
  np.add.at(counts, (heard.addresses.argmax(1), heard.visemes), 1)
  return counts / np.maximum(counts.sum(1, keepdims=True), 1)


def slot_of(heard: Heard, viseme: int) -> int:
  """Returns the slot of which a viseme's speech recalls most beyond what all speech does."""
  return int((heard.addresses[heard.visemes == viseme].mean(0) - heard.addresses.mean(0)).argmax())


def walk(generator: Pretrained, clip: Clip, first: int, last: int) -> Iterator[np.ndarray]:
  """Yields the frames of a walk from one slot to another and back on one face, (h, 2 h, 3) uint8."""
  config, size = generator.config, generator.config.model.image_size
  middle = len(clip.frames) // 2
  target, reference = (
    at_size(frames[middle : middle + 1], size) for frames in (clip.frames, _references(generator, clip))
  )
  silence, spoken = silence_for(config, len(clip.mel)), clip.heard_by(config)
  speech = [windows_for(config, track, middle + 1)[middle:] for track in (silence, spoken)]
  faces = np.repeat(np.asarray(generator_faces(target, reference)), 2, 0)
  for place in (1 - np.cos(np.pi * np.arange(2 * WALK_FRAMES) / WALK_FRAMES)) / 2:
    addresses = np.zeros((2, config.model.memory_slots), np.float32)
    addresses[:, first] += 1 - place
    addresses[:, last] += place
    pair = draw_mixtures(generator.model, generator.variables, faces, np.concatenate(speech), addresses)
    yield np.concatenate(to_uint8(at_size(np.asarray(pair), FILM_SIDE)), 1)


def picture(shares: np.ndarray) -> np.ndarray:
  """Draws the visemes of the slots that are ever the strongest, (h, w, 3) uint8; slots stand in the visemes' order."""
  from matplotlib.backends.backend_agg import FigureCanvasAgg  # here: it takes a second
  from matplotlib.figure import Figure

  used = np.flatnonzero(shares.any(1))
  order = used[np.lexsort((-shares[used].max(1), shares[used].argmax(1)))]
  figure = Figure((6, 1.5 + 0.16 * len(order)), dpi=100, layout='constrained')
  axes = figure.subplots()
  image = axes.imshow(shares[order], cmap='magma', vmin=0, vmax=1, aspect='auto', interpolation='nearest')
  axes.set_xticks(range(len(VISEMES)), VISEMES, fontsize=8)
  axes.set_yticks(range(len(order)), [str(slot) for slot in order], fontsize=7)
  axes.set(xlabel='viseme', ylabel='strongest slot')
  figure.colorbar(image, label='share of the frames of the slot')
  canvas = FigureCanvasAgg(figure)
  canvas.draw()
  return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _references(generator: Pretrained, clip: Clip) -> np.ndarray:
  return references_of(generator.config.data, clip.frames)


def _rows(heard: Heard, shares: np.ndarray) -> list[dict[str, object]]:
  """The slots that are ever the strongest: in how many frames, and the shares of the visemes in these."""
  frames = np.bincount(heard.addresses.argmax(1), minlength=len(shares))
  return [
    {
      'slot': int(slot),
      'frames': int(frames[slot]),
      'visemes': {VISEMES[k]: round(float(shares[slot, k]), 3) for k in np.argsort(-shares[slot]) if shares[slot, k]},
    }
    for slot in np.argsort(-frames, kind='stable')
    if frames[slot]
  ]


def _print(figures: dict) -> None:
  print('| frames | told | shuffled | times |\n|---|---:|---:|---:|')
  for name in ('all', 'spoken'):
    row = figures[name]
    print(f'| {name} | {row["told"]:.3f} | {row["shuffled"]:.3f} | {row["times"]:.2f} |')
  print('\n| slot | frames | visemes |\n|---:|---:|---|')
  for row in figures['slots']:
    first = list(row['visemes'].items())[:3]
    print(f'| {row["slot"]} | {row["frames"]} | {", ".join(f"{name} {share:.0%}" for name, share in first)} |')


if __name__ == '__main__':
  define_flags()
  cli.run(main)
