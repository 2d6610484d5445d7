"""The share of frames in which `--speaker=auto` dubs the right one of several people who talk in turns.

  python -m benchmarks.quality.speakers --checkpoint=runs/demo/checkpoint --output=speakers.json [--faces=CLIP,CLIP,…]

Composes films of people side by side, who take turns of 1.5 to 4 seconds, from the corpus, and from clips of people who
speak, if there are any; each clip is another person. Only the sound of the one whose turn it is can be heard. The
others rest (drawn people shut their mouths, filmed ones stand still), or, which is harder, they go on talking unheard.
Counts the frames with speech, by its level, in which the box that the dub would change is that of the speaker.

`--dubs` films of drawn people at rest are dubbed by `--turns`, with the sound of such turns. Counts the frames with
speech in which the mouth that differs most from the film, within a fifth of a second, is that of the speaker.
"""

import itertools
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from absl import flags
from scipy.ndimage import uniform_filter1d

from benchmarks import commands
from data_pipeline.corpora.talking_faces.articulation import perform
from data_pipeline.corpora.talking_faces.clips import TalkingClip, draw_clip
from lpips_jax.audio.loudness import SPEECH_MARGIN, speech_level
from lpips_jax.core import cli
from lpips_jax.core.constants import FRAME_RATE, SAMPLE_RATE, WINDOW_FRAMES
from lpips_jax.dubbing import Dubber, Options
from lpips_jax.dubbing.boxes import read_boxes
from lpips_jax.dubbing.selection import follow
from lpips_jax.dubbing.speakers import expert_for, who_speaks
from lpips_jax.dubbing.turns import Turn
from lpips_jax.faces.cropping import crop
from lpips_jax.faces.detect import DETECTORS, Detect, make_detector
from lpips_jax.faces.mouth import MOUTH_ROWS
from lpips_jax.media.playback import play
from lpips_jax.media.speech import load_speech, write_speech
from lpips_jax.media.video_reader import VideoInfo, probe, read_frames
from lpips_jax.media.video_writer import write_video
from lpips_jax.pretrained import Pretrained

HEIGHT = 256  # pixels of the films
TURN_SECONDS = 1.5, 4.0
MAX_CLIP_SECONDS = 12  # that are used of each person, again and again
FRAME_SAMPLES = SAMPLE_RATE // FRAME_RATE
MOUTH_SIDE = 96  # pixels of crops whose mouths are compared
RESTING, TALKING = 'resting', 'talking'


class Person(NamedTuple):
  """Somebody who speaks: n frames, 25 a second, with sound.

  Attributes:
    frames: (n, h, w, 3) uint8.
    sound: (640 n,) float in [-1, 1].
    resting: (n, h, w, 3), the same with the mouth shut; None where that was not filmed.
  """

  frames: np.ndarray
  sound: np.ndarray
  resting: np.ndarray | None


class Turns(NamedTuple):
  """A film in turns.

  Attributes:
    path: of the film.
    turns: (n,), the number of the one whose turn it is, from the left.
    speakers: (n,), the same, but -1 without speech.
    edges: where, from the left, in pixels, each person's picture ends.
  """

  path: Path
  turns: np.ndarray
  speakers: np.ndarray
  edges: np.ndarray


def define_flags() -> None:
  flags.DEFINE_string('checkpoint', 'runs/demo/checkpoint', 'The generator, whose sync expert is used.')
  flags.DEFINE_string('speaker_expert', None, 'Another sync expert.')
  flags.DEFINE_list('faces', [], 'Clips of people who speak, each another person.')
  flags.DEFINE_list('people', ['2', '3', '4'], 'How many people are in a film.')
  flags.DEFINE_list('others', [RESTING, TALKING], 'What those do who have not the turn.')
  flags.DEFINE_integer('films', 6, 'Films of each kind.', lower_bound=1)
  flags.DEFINE_integer('dubs', 0, 'Films of each number of people that are dubbed by --turns.', lower_bound=0)
  flags.DEFINE_integer('seconds', 20, 'Length of a film.', lower_bound=4)
  flags.DEFINE_integer('seed', commands.HELD_OUT_SEED, 'Of the drawn people, and of the turns.')
  flags.DEFINE_enum('detector', 'auto', DETECTORS, 'The face detector.')
  flags.DEFINE_string('output', None, 'JSON file for the figures.')
  commands.register_numbers('people')
  commands.register_choices('others', (RESTING, TALKING))


def main() -> None:
  given = flags.FLAGS
  commands.require_directory_of(given.output)
  find, expert = make_detector(given.detector, None), expert_for(given.checkpoint, given.speaker_expert)
  rows = []
  print('| people | from | others | films | right | worst film |\n|---:|---|---|---:|---:|---:|')
  for count, source, others in itertools.product(map(int, given.people), ('drawn', 'filmed'), given.others):
    if source == 'filmed' and len(given.faces) < count:
      continue
    rng = np.random.default_rng([given.seed, count])
    shares: list[float] = []
    for number in range(given.films):
      cast = _drawn(given.seed, number, count) if source == 'drawn' else _filmed(given.faces, rng, count)
      with tempfile.TemporaryDirectory() as directory:
        film = compose(cast, rng, others, given.seconds, Path(directory))
        shares.append(share_right(film, find, expert))
    row = {'people': count, 'from': source, 'others': others, 'right': float(np.mean(shares)), 'films': shares}
    rows.append(row)
    print(f'| {count} | {source} | {others} | {len(shares)} | {np.mean(shares):.1%} | {min(shares):.1%} |', flush=True)
  if given.dubs:
    dubber = Dubber(given.checkpoint, progress=False)
    print('\n| people | dubs by turns | right mouth moves | worst dub |\n|---:|---:|---:|---:|')
    for count in map(int, given.people):
      shares = [moving_right(dubber, given, number, count) for number in range(given.dubs)]
      rows.append({'people': count, 'moving': float(np.mean(shares)), 'dubs': shares})
      print(f'| {count} | {len(shares)} | {np.mean(shares):.1%} | {min(shares):.1%} |', flush=True)
  commands.write_figures(given.output, rows)


def compose(cast: Sequence[Person], rng: np.random.Generator, others: str, seconds: int, directory: Path) -> Turns:
  """Writes a film of people side by side, who take turns.

  Args:
    cast: the people, from the left.
    rng: draws the turns.
    others: `RESTING` or `TALKING`.
    seconds: length.
    directory: for the film.
  """
  speakers = _turns(rng, len(cast), seconds * FRAME_RATE)
  places, shut = zip(*(_places(person, speakers == k, others) for k, person in enumerate(cast)), strict=True)
  sound = np.zeros((len(speakers), FRAME_SAMPLES), np.float32)
  for k, person in enumerate(cast):
    blocks = person.sound.reshape(-1, FRAME_SAMPLES)
    sound[speakers == k] = blocks[places[k][speakers == k]]
  level = 10 * np.log10(sound.var(axis=1) + 1e-12)
  spoken = level > (speech_level(sound.ravel()) or 0) - SPEECH_MARGIN
  write_speech(directory / 'sound.wav', np.round(32767 * np.clip(sound.ravel(), -1, 1)).astype(np.int16))
  edges = np.cumsum([person.frames.shape[2] for person in cast])
  info = VideoInfo(int(edges[-1]), HEIGHT, Fraction(FRAME_RATE))
  path = directory / 'film.mp4'
  with write_video(path, info, directory / 'sound.wav', whole_sound=False) as write:
    for step in range(len(speakers)):
      panels = [
        (person.resting if shut[k][step] and person.resting is not None else person.frames)[places[k][step]]
        for k, person in enumerate(cast)
      ]
      write(np.concatenate(panels, axis=1))
  return Turns(path, speakers, np.where(spoken, speakers, -1), edges)


def share_right(film: Turns, find: Detect, expert: Pretrained | None) -> float:
  """Returns the share of the frames with speech in which the speaker alone would be dubbed."""
  info = probe(film.path)
  choose = who_speaks(play(film.path, info), find, info, film.path, expert)
  right = []
  for (_, boxes), speaker in zip(follow(play(film.path, info), find, info, choose), film.speakers, strict=True):
    if speaker >= 0:
      dubbed = [int(np.searchsorted(film.edges, (box[0] + box[2]) / 2)) for box in boxes]
      right.append(dubbed == [speaker])
  return float(np.mean(right))


def moving_right(dubber: Dubber, given: flags.FlagValues, number: int, count: int) -> float:
  """Dubs a film of drawn people by turns; returns the share of frames with speech in which the right mouth moves."""
  rng = np.random.default_rng([given.seed, count, number])
  cast = _drawn(given.seed, number, count)
  resting = [Person(person.resting, person.sound, None) for person in cast if person.resting is not None]
  with tempfile.TemporaryDirectory() as directory:
    where = Path(directory)
    film = compose(resting, rng, TALKING, given.seconds, where)
    sound = load_speech(where / 'sound.wav')
    begins = [0, *(np.flatnonzero(np.diff(film.turns)) + 1), len(film.turns)]
    turns = []
    for begin, end in itertools.pairwise(map(int, begins)):
      said = np.round(32767 * sound[begin * FRAME_SAMPLES : end * FRAME_SAMPLES]).astype(np.int16)
      write_speech(where / f'{begin}.wav', said)
      times = begin / FRAME_RATE, end / FRAME_RATE
      turns.append(Turn(*times, int(film.turns[begin]), where / f'{begin}.wav'))
    output, boxes = where / 'dub.mp4', where / 'boxes.json'
    dubber.dub(film.path, None, output, Options(turns=turns, save_boxes=boxes, detector=given.detector, no_marks=True))
    found = zip(read_frames(film.path), read_frames(output), read_boxes(boxes), strict=True)
    changes = np.array([_mouth_changes(film, *frame) for frame in found])
  changes = uniform_filter1d(changes, WINDOW_FRAMES, axis=0)
  spoken = film.speakers >= 0
  return float(np.mean(changes.argmax(1)[spoken] == film.speakers[spoken]))


def _mouth_changes(film: Turns, before: np.ndarray, after: np.ndarray, boxes: Sequence[np.ndarray]) -> np.ndarray:
  """Returns the mean change of each person's mouth in a frame."""
  changes = np.zeros(len(film.edges))
  for box in boxes:
    crops = [crop(frame, box, MOUTH_SIDE).astype(float) for frame in (before, after)]
    mouth = np.abs(crops[1] - crops[0])[round(MOUTH_ROWS[0] * MOUTH_SIDE) :]
    changes[np.searchsorted(film.edges, (box[0] + box[2]) / 2)] = mouth.mean()
  return changes


def _turns(rng: np.random.Generator, people: int, steps: int) -> np.ndarray:
  """Draws whose turn it is at each step, (n,)."""
  speakers: list[int] = []
  speaker = int(rng.integers(people))
  while len(speakers) < steps:
    speakers += [speaker] * round(rng.uniform(*TURN_SECONDS) * FRAME_RATE)
    speaker = int((speaker + rng.integers(1, people)) % people) if people > 1 else 0
  return np.array(speakers[:steps])


def _places(person: Person, speaks: np.ndarray, others: str) -> tuple[np.ndarray, np.ndarray]:
  """Returns which of a person's frames is shown at each step, (n,), and whether with a shut mouth, (n,) bool.

  Clips begin again when they end. Filmed people who rest stand still.
  """
  runs = np.ones(len(speaks), bool) if others == TALKING or person.resting is not None else speaks
  places = np.maximum(np.cumsum(runs) - 1, 0) % len(person.frames)
  return places, ~speaks & (others == RESTING)


def _drawn(seed: int, film: int, count: int) -> list[Person]:
  return [_as_person(draw_clip(seed, 'test', 10 * film + k, 0, MAX_CLIP_SECONDS)) for k in range(count)]


def _as_person(clip: TalkingClip) -> Person:
  steps = len(clip.boxes)
  silence = perform(['', ''], [MAX_CLIP_SECONDS / 2, MAX_CLIP_SECONDS / 2])
  frames, resting = (np.stack(list(each.scene(HEIGHT))) for each in (clip, replace(clip, articulation=silence)))
  return Person(frames, clip.audio[: steps * FRAME_SAMPLES] / np.float32(32768), resting)


def _filmed(faces: Sequence[str], rng: np.random.Generator, count: int) -> list[Person]:
  return [_load(faces[k]) for k in rng.permutation(len(faces))[:count]]


def _load(path: str) -> Person:
  """Reads a clip at 25 frames a second."""
  info, sound = probe(path), load_speech(path)
  steps = min(MAX_CLIP_SECONDS * FRAME_RATE, len(sound) // FRAME_SAMPLES)
  frames = list(_at_rate(read_frames(path), info.rate, steps))
  count = min(steps, len(frames))
  return Person(np.stack(frames[:count]), sound[: count * FRAME_SAMPLES], None)


def _at_rate(frames: Iterable[np.ndarray], rate: Fraction, steps: int) -> Iterator[np.ndarray]:
  """Yields the frame at each step, as high as the film."""
  done = 0
  for number, frame in enumerate(frames):
    while done < steps and round(done * rate / FRAME_RATE) <= number:
      width = 2 * round(HEIGHT * frame.shape[1] / frame.shape[0] / 2)
      yield cv2.resize(frame, (width, HEIGHT), interpolation=cv2.INTER_AREA)
      done += 1
    if done == steps:
      return


if __name__ == '__main__':
  define_flags()
  cli.run(main)
