"""What there is to look at: a frame of each of several speakers, and a clip of every system side by side."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from lpips_jax.audio.mel import mel_windows
from lpips_jax.core.constants import FRAME_RATE, SAMPLES_A_FRAME
from lpips_jax.evaluation.candidates import Clip
from lpips_jax.evaluation.references import REFERENCES, usual
from lpips_jax.evaluation.systems import MakeCandidate
from lpips_jax.media.pictures import to_bytes
from lpips_jax.media.video_writer import write_clip
from lpips_jax.models.inputs import generator_faces
from lpips_jax.pretrained.batches import at_size, in_batches
from lpips_jax.pretrained.checkpoint import Pretrained

SPEAKERS = 8
LONGEST = 4 * FRAME_RATE  # frames of a video
SIDE = 128  # pixels of each face in it
PICTURE, VIDEO = 'samples.png', 'samples.mp4'


def speakers_shown(speakers: Sequence[str]) -> list[int]:
  """The first clip of each of some speakers."""
  return [speakers.index(speaker) for speaker in dict.fromkeys(speakers)][:SPEAKERS]


def picture_rows(
  clips: Sequence[Clip], numbers: Sequence[int], generators: Mapping[str, Pretrained]
) -> list[np.ndarray]:
  """Rows of a picture, (n, h, w, 3) each: what the first generator saw, what each made, and what was filmed.

  Args:
    clips: n of them.
    numbers: of each clip one, which chooses the frame.
    generators: by name.
  """
  columns = []
  for clip, number in zip(clips, numbers, strict=True):
    k = (37 * number) % len(clip.frames)  # a different place in each clip
    target = clip.frames[k : k + 1]
    shown = [REFERENCES[usual(generator)](clip.frames)[k : k + 1] for generator in generators.values()]
    seen = np.asarray(generator_faces(target, shown[0]))
    made = [
      _one(generator, target, reference, clip.heard_by(generator.config), k)
      for generator, reference in zip(generators.values(), shown, strict=True)
    ]
    columns.append([seen[0, ..., :3], seen[0, ..., 3:], *made, target[0] / 255])
  return [np.stack(row) for row in zip(*columns, strict=True)]


def captions(rows: Sequence[str], columns: Sequence[str]) -> dict[str, str]:
  """What the picture and the video show, by the name of the file."""
  return {PICTURE: f'From the top: {", ".join(rows)}.', VIDEO: f'From the left: {", ".join(columns)}.'}


def write_beside(
  path: Path, makers: Mapping[str, MakeCandidate], systems: Sequence[str], speech: np.ndarray | None
) -> None:
  """Writes an mp4 of systems' takes of a clip, from left to right, with a sound."""
  candidates = [at_size(to_bytes(makers[system]().frames), SIDE) for system in systems]
  shortest = min(LONGEST, *(len(frames) for frames in candidates))
  beside = np.concatenate([frames[:shortest] for frames in candidates], 2)
  write_clip(path, beside, beside.shape[1:3], None if speech is None else speech[: shortest * SAMPLES_A_FRAME])


def _one(generator: Callable, target: np.ndarray, reference: np.ndarray, heard: np.ndarray, k: int) -> np.ndarray:
  """What a generator makes of frame k, (h, w, 3)."""
  size, lead = generator.config.model.image_size, generator.config.data.lead
  faces = np.asarray(generator_faces(at_size(target, size), at_size(reference, size)))
  made = in_batches(generator, faces, mel_windows(heard, FRAME_RATE, k + 1, lead)[k:])
  return at_size(np.asarray(made, np.float32), target.shape[1])[0]
