"""Ready examples: people and speech of the embedded corpus, drawn when the page starts. They show nobody."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_pipeline.corpora.talking_faces.clips import draw_clip
from lpips_jax.media.pictures import write_png
from lpips_jax.media.speech import write_speech
from lpips_jax.media.video_writer import write_clip

SEED = 2_000  # draws speakers that neither the demo trains on nor shows
SECONDS = 3.0
SIDE = 320  # pixels of a film


@dataclass(frozen=True)
class Example:
  """A file to try the page with.

  Attributes:
    title: a few words for people.
    file: a film, a still picture or speech.
    picture: a small PNG of a face; None for speech.
  """

  title: str
  file: Path
  picture: Path | None = None


@dataclass(frozen=True)
class Examples:
  """Things to try the page with."""

  faces: tuple[Example, ...] = ()
  speeches: tuple[Example, ...] = ()

  def all(self) -> dict[str, Example]:
    """Returns the examples by the names of their files."""
    return {example.file.name: example for example in (*self.faces, *self.speeches)}


def draw(directory: Path) -> Examples:
  """Draws films of one and of two people, a still picture, and speech of two others; takes seconds."""
  clips = [draw_clip(SEED, 'test', number, 0, SECONDS) for number in range(4)]
  one, other = (list(clip.scene(SIDE)) for clip in clips[:2])
  film, pair, still = directory / 'film.mp4', directory / 'two-people.mp4', directory / 'still.png'
  both = [np.concatenate(frames, axis=1) for frames in zip(one, other, strict=True)]
  write_clip(film, one, (SIDE, SIDE), clips[0].audio)
  write_clip(pair, both, (SIDE, 2 * SIDE), clips[0].audio)
  write_png(still, other[0])
  faces = []
  for title, file, frame in (
    ('A film', film, one[0]),
    ('Two people', pair, both[0]),
    ('A still picture', still, other[0]),
  ):
    picture = directory / f'{file.stem}-small.png'
    write_png(picture, frame[::2, ::2])
    faces.append(Example(title, file, picture))
  speeches = []
  for title, clip in zip(('A voice', 'Another voice'), clips[2:], strict=True):
    file = directory / f'{title.lower().replace(" ", "-")}.wav'
    write_speech(file, clip.audio)
    speeches.append(Example(title, file))
  return Examples(tuple(faces), tuple(speeches))
