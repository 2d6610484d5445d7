"""Samples to look at: a frame of each of several speakers, and a clip of every system side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lpips_jax import provenance
from lpips_jax.audio.condition import windows_for
from lpips_jax.core.constants import FRAME_RATE, SAMPLES_PER_FRAME
from lpips_jax.evaluation.candidates import Clip, MakeCandidate
from lpips_jax.evaluation.references import references_of
from lpips_jax.media.pictures import to_uint8
from lpips_jax.media.video_writer import write_clip
from lpips_jax.models.inputs import generator_faces
from lpips_jax.pretrained import Exported, Pretrained
from lpips_jax.pretrained.batches import at_size, in_batches

MAX_SPEAKERS = 8
MAX_VIDEO_FRAMES = 4 * FRAME_RATE
VIDEO_FACE_SIZE = 128  # pixels
PICTURE, VIDEO = 'samples.png', 'samples.mp4'


def speakers_shown(speakers: Sequence[str]) -> list[int]:
  """Returns the index of the first clip of each of some speakers."""
  return [speakers.index(speaker) for speaker in dict.fromkeys(speakers)][:MAX_SPEAKERS]


def picture_rows(
  clips: Sequence[Clip], numbers: Sequence[int], generators: Mapping[str, Pretrained | Exported]
) -> list[np.ndarray]:
  """Returns the rows of a picture: the inputs of the first generator, what each generator made, and the filmed frame.

  Args:
    clips: n of them.
    numbers: one for each clip, which chooses the frame.
    generators: by name.

  Returns:
    Arrays (n, h, w, 3) in [0, 1].
  """
  columns = []
  for clip, number in zip(clips, numbers, strict=True):
    k = (37 * number) % len(clip.frames)  # a different place in each clip
    target = clip.frames[k : k + 1]
    references = [references_of(generator.config.data, clip.frames)[k : k + 1] for generator in generators.values()]
    inputs = np.asarray(generator_faces(target, references[0]))
    generated = [
      _generated_frame(generator, target, reference, clip.heard_by(generator.config), k)
      for generator, reference in zip(generators.values(), references, strict=True)
    ]
    columns.append([inputs[0, ..., :3], inputs[0, ..., 3:], *generated, target[0] / 255])
  return [np.stack(row) for row in zip(*columns, strict=True)]


def captions(rows: Sequence[str], columns: Sequence[str]) -> dict[str, str]:
  """Returns the captions of the picture and the video, by file name.

  Args:
    rows: what the rows of the picture show.
    columns: what the video shows from left to right.
  """
  return {PICTURE: f'From the top: {", ".join(rows)}.', VIDEO: f'From the left: {", ".join(columns)}.'}


def write_side_by_side(
  path: Path, makers: Mapping[str, MakeCandidate], systems: Sequence[str], speech: np.ndarray | None
) -> None:
  """Writes an mp4 of the candidates of a clip.

  Args:
    path: the file.
    makers: make the candidates, by system.
    systems: those that are shown, from left to right.
    speech: (s,) int16, the sound of the video; without it there is none.
  """
  candidates = [at_size(to_uint8(makers[system]().frames), VIDEO_FACE_SIZE) for system in systems]
  length = min(MAX_VIDEO_FRAMES, *(len(frames) for frames in candidates))
  frames = np.concatenate([frames[:length] for frames in candidates], 2)
  heard = None if speech is None else speech[: length * SAMPLES_PER_FRAME]
  write_clip(path, frames, frames.shape[1:3], heard, provenance.marks(provenance.Statement('dubbed')))


def _generated_frame(
  generator: Pretrained | Exported, target: np.ndarray, reference: np.ndarray, heard: np.ndarray, k: int
) -> np.ndarray:
  """Frame k of a clip as a generator makes it, (h, w, 3)."""
  size = generator.config.model.image_size
  faces = np.asarray(generator_faces(at_size(target, size), at_size(reference, size)))
  generated = in_batches(generator, faces, windows_for(generator.config, heard, k + 1)[k:])
  return at_size(np.asarray(generated, np.float32), target.shape[1])[0]
