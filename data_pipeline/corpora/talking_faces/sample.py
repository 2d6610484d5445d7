"""Writes a video and speech to dub, and a picture of faces, of speakers that no model was trained on.

  python -m data_pipeline.corpora.talking_faces.sample --output=runs/sample --seed=7

- `face.mp4`: an ordinary video of one speaker, with sound;
- `speech.wav`: the speech of another;
- `faces.png`: several speakers, each with the mouth shut, wide open, spread and rounded.
"""

from pathlib import Path

import numpy as np
from absl import flags

from data_pipeline.corpora.talking_faces.articulation import at_frames
from data_pipeline.corpora.talking_faces.clips import TalkingClip, draw_clip
from lpips_jax.core import cli
from lpips_jax.core.errors import UserError
from lpips_jax.media.pictures import grid, write_png
from lpips_jax.media.speech import write_speech
from lpips_jax.media.video_writer import write_clip
from lpips_jax.provenance import Statement, marks

_OUTPUT = flags.DEFINE_string('output', None, 'The directory to write to; made if it does not exist.')
_SEED = flags.DEFINE_integer('seed', 7, 'Draws the speakers and their speech.', lower_bound=0)
_SECONDS = flags.DEFINE_float('seconds', 6.0, 'Length of the video and of the speech.', lower_bound=0.2)
_SPEAKERS = flags.DEFINE_integer('speakers', 6, 'Number of faces in faces.png.', lower_bound=1)
_SIZE = flags.DEFINE_integer('size', 512, 'Side of the video in pixels.', lower_bound=64)


def main() -> None:
  cli.require_flags('output')
  output = Path(_OUTPUT.value or '')
  try:
    output.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    raise UserError(f'{output} cannot be created: {error.strerror}') from error
  face, other = (draw_clip(_SEED.value, 'test', number, 0, _SECONDS.value) for number in range(2))
  size = _SIZE.value, _SIZE.value
  write_clip(output / 'face.mp4', face.scene(_SIZE.value), size, face.audio, marks(Statement('drawn')))
  write_speech(output / 'speech.wav', other.audio)
  write_gallery(output / 'faces.png', _SEED.value, _SPEAKERS.value)
  print(f'wrote {output}/face.mp4, {output}/speech.wav and {output}/faces.png')


def write_gallery(path: Path, seed: int, speakers: int) -> None:
  """Writes a picture with a column for each speaker and a row for each pose of the mouth."""
  columns = [_moments(draw_clip(seed, 'test', number, 0, seconds=3.0)) for number in range(speakers)]
  write_png(path, grid([np.stack(row) for row in zip(*columns, strict=True)]))


def _moments(clip: TalkingClip) -> list[np.ndarray]:
  """Returns the frames in which the mouth is shut, wide open, spread and rounded."""
  width = at_frames(clip.articulation.width, len(clip.boxes))
  width = np.where(clip.mouth_opening > 0.1, width, 0) * (clip.motion.eyes > 0.9)
  chosen = [np.argmin(clip.mouth_opening - clip.motion.eyes), np.argmax(clip.mouth_opening + clip.motion.eyes)]
  chosen += [np.argmax(width), np.argmin(width)]
  frames = list(clip.scene())
  return [frames[index] for index in chosen]


if __name__ == '__main__':
  cli.run(main)
