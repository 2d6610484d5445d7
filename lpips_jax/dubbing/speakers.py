"""Finding out who speaks in a film, frame by frame, so that a dub gives each turn to the one who had it.

The film is read once before the dub. All faces are followed, and their lips measured beside the film's own sound; scene
by scene, a scene being what people share without a break, the most probable order of turns is found.
"""

import bisect
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from absl import logging

from lpips_jax.audio.chunks import part, whole
from lpips_jax.audio.loudness import speech_level
from lpips_jax.core.constants import FRAME_RATE, SAMPLE_RATE
from lpips_jax.core.errors import UserError
from lpips_jax.core.files import PathLike
from lpips_jax.dubbing import lip_motion, turn_taking
from lpips_jax.dubbing.cutout import cut_out
from lpips_jax.dubbing.lip_motion import SeenLips
from lpips_jax.dubbing.selection import Choose, FollowOne, VisibleFace, first_sighting, follow
from lpips_jax.faces.detect import Detect
from lpips_jax.media.playback import PlayedFrame
from lpips_jax.media.speech import load_driving_speech
from lpips_jax.media.video_reader import VideoInfo

if TYPE_CHECKING:
  from lpips_jax.pretrained import Pretrained

Person = tuple[float, ...]  # from `selection.first_sighting`

PIECE = 250  # steps whose crops are held until they are measured; what is left is measured with the last of them
LONGEST_GAP = FRAME_RATE // 2  # steps without a new frame that show the last one
OUT_OF_SIGHT = -1.0  # evidence, in each step, that somebody who is not seen speaks


class Speaking:
  """Chooses who speaks.

  Args:
    speakers: the person who speaks in each frame, by its number; None where nobody is seen.
  """

  def __init__(self, speakers: Sequence[Person | None]) -> None:
    self._speakers = speakers

  def __call__(self, frame: int, visible: list[VisibleFace]) -> list[VisibleFace]:
    speaker = self._speakers[min(frame, len(self._speakers) - 1)] if self._speakers else None
    return [face for face in visible if first_sighting(face.track) == speaker]


def who_speaks(
  frames: Iterable[PlayedFrame], find: Detect, info: VideoInfo, film: PathLike, expert: 'Pretrained | None'
) -> Choose:
  """Returns the rule that the one who speaks in a film is dubbed, frame by frame.

  In pauses it is the one who spoke last. Where the film has no speech or never shows two people, it is the default
  rule, and a line is logged.

  Args:
    frames: of the film, from its first on.
    find: the face detector.
    info: from `probe`, about the film.
    film: the file, for its sound.
    expert: a sync expert; None goes by lips and voices alone.
  """
  samples = _own_speech(film, info)
  if samples is None:
    return FollowOne()
  heard = lip_motion.hear(samples, -(-len(samples) * FRAME_RATE // SAMPLE_RATE), expert)
  watched = _Watched(heard, expert)
  times = [shown.time for shown in watched.look(follow(frames, find, info, watched.note))]
  people = watched.people()
  if not watched.together:
    logging.warning('speaker=auto: %s never shows two faces at once: whoever is most prominent is dubbed', film)
    return FollowOne()
  speakers = _speakers(people, watched.prominence, heard, round(times[-1] * FRAME_RATE) + 1)
  return Speaking([speakers[round(time * FRAME_RATE)] for time in times])


def expert_for(checkpoint: object, given: PathLike | None) -> 'Pretrained | None':
  """Returns the sync expert that is given, else the one that a generator was trained with, else None.

  Args:
    checkpoint: of the generator: a directory, or a function.
    given: directory of a sync expert, or None.
  """
  from lpips_jax import pretrained  # JAX takes seconds to import

  if given is not None:
    return pretrained.load_expert(os.fspath(given))
  if not isinstance(checkpoint, str | os.PathLike) or pretrained.is_exported(os.fspath(checkpoint)):
    return None
  if not (pretrained.find(os.fspath(checkpoint)) / pretrained.SYNC_EXPERT).is_dir():
    return None
  return pretrained.load_expert_of(os.fspath(checkpoint))


class _Watched:
  """The people of a film, as far as it has been watched.

  Attributes:
    together: whether two faces were visible at once.
    prominence: of each person, summed over the frames.
  """

  def __init__(self, heard: lip_motion.HeardFilm, expert: 'Pretrained | None') -> None:
    self.together = False
    self.prominence: dict[Person, float] = defaultdict(float)
    self._heard, self._expert = heard, expert
    self._visible: list[VisibleFace] = []
    self._crops: dict[Person, list[np.ndarray]] = {}  # not yet measured
    self._next: dict[Person, int] = {}  # the step after the last one of these
    self._seen: dict[Person, list[SeenLips]] = defaultdict(list)

  def note(self, frame: int, visible: list[VisibleFace]) -> list[VisibleFace]:
    """A `Choose` that remembers who is visible in the frame that `follow` yields next."""
    self._visible = visible
    self.together |= len(visible) > 1
    return []

  def look(self, followed: Iterable[tuple[PlayedFrame, object]]) -> Iterator[PlayedFrame]:
    """Looks at each frame, and passes it on."""
    for shown, _ in followed:
      step = round(shown.time * FRAME_RATE)
      for face in self._visible:
        person = first_sighting(face.track)
        self.prominence[person] += face.prominence
        cut = cut_out(shown, face.box, lip_motion.CROP_SIDE)
        if cut is not None:
          self._add(person, step, cut.crop)
      yield shown

  def people(self) -> dict[Person, list[SeenLips]]:
    """Returns all that has been seen of everybody's lips."""
    for person in list(self._crops):
      self._measure(person, len(self._crops[person]))
    return self._seen

  def _add(self, person: Person, step: int, crop: np.ndarray) -> None:
    """Adds a crop for each step since the last one."""
    crops, expected = self._crops.setdefault(person, []), self._next.get(person, step)
    if step < expected:  # more frames than steps
      return
    if step - expected > LONGEST_GAP or not crops:
      self._measure(person, len(crops))
      expected = step
    crops += crops[-1:] * (step - expected) + [crop]
    self._next[person] = step + 1
    if len(crops) >= 3 * PIECE // 2:
      self._measure(person, PIECE)

  def _measure(self, person: Person, count: int) -> None:
    """Measures the first crops that are held, and drops them."""
    crops, steps = self._crops[person], len(self._heard.spoken)
    first = self._next.get(person, 0) - len(crops)
    within = min(count, max(0, steps - first))
    if within:
      self._seen[person].append(lip_motion.see(np.stack(crops[:within]), first, self._heard, self._expert))
    del crops[:count]


def _own_speech(film: PathLike, info: VideoInfo) -> np.ndarray | None:
  """Returns the sound of a film, (S,) at 16 kHz, from its first frame on; None, with a line logged, if it is silent."""
  try:
    _, sound = load_driving_speech(film)
    begin = round(info.part[0] * SAMPLE_RATE)
    samples = whole(part(sound, begin)) if begin < len(sound) else None
  except UserError as error:
    logging.warning('speaker=auto: %s: whoever is most prominent is dubbed', error)
    return None
  if samples is None or speech_level(samples) is None:
    logging.warning('speaker=auto: nothing is heard in %s: whoever is most prominent is dubbed', film)
    return None
  return samples


def _speakers(
  people: dict[Person, list[SeenLips]], prominence: dict[Person, float], heard: lip_motion.HeardFilm, steps: int
) -> list[Person | None]:
  """Returns who speaks at each step, n; None where nobody is seen."""
  speakers: list[Person | None] = [None] * steps
  for scene in _scenes(people):
    # Where all else is equal, the first of several is taken.
    everybody = sorted(scene, key=lambda person: -prominence[person])
    first = min(people[person][0].first for person in scene)
    last = max(_end(people[person]) for person in scene)
    turns = _turns_of([people[person] for person in everybody], heard, first, last)
    end = min(last, steps)
    speakers[first:end] = [everybody[turn] for turn in turns[: end - first]]
  return _without_gaps(speakers)


def _scenes(people: dict[Person, list[SeenLips]]) -> Iterator[list[Person]]:
  """Yields groups of people, each of whom is in sight at a time when another one of the group is."""
  scene: list[Person] = []
  last = 0
  for person in sorted(people, key=lambda person: people[person][0].first):
    if scene and people[person][0].first >= last:
      yield scene
      scene = []
    scene.append(person)
    last = max(last, _end(people[person]))
  if scene:
    yield scene


def _turns_of(people: Sequence[Sequence[SeenLips]], heard: lip_motion.HeardFilm, first: int, last: int) -> np.ndarray:
  steps = len(heard.spoken)
  found = np.stack([lip_motion.evidence(person, heard, steps) for person in people])
  found = np.nan_to_num(found + lip_motion.stillness(people, steps)[:, None], nan=OUT_OF_SIGHT)
  part = slice(first, last)
  return turn_taking.best_turns(found[:, :, part], heard.voice[part], heard.spoken[part])


def _end(seen: Sequence[SeenLips]) -> int:
  return seen[-1].first + len(seen[-1].motion['chin'])


def _without_gaps(speakers: list[Person | None]) -> list[Person | None]:
  """Fills steps without a speaker from the nearest one that has one: after the end of the sound, or between scenes."""
  known = [step for step, speaker in enumerate(speakers) if speaker is not None]
  filled = list(speakers)
  for step, speaker in enumerate(speakers):
    if speaker is None and known:
      after = bisect.bisect_left(known, step)
      near = known[max(0, after - 1) : after + 1]
      filled[step] = speakers[min(near, key=lambda other: abs(other - step))]
  return filled
