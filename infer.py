"""Dubs a video: a face and speech in, a lip-synced mp4 out.

  python infer.py --face=face.mp4 --audio=speech.wav --output=dubbed.mp4 --checkpoint=runs/demo/checkpoint
  python infer.py --jobs=jobs.csv --checkpoint=runs/demo/checkpoint

The face is a video or a still image; the speech is any file with a sound track. A job list is a CSV file with the
columns face, audio and output.
"""

from absl import flags

from lpips_jax import cli
from lpips_jax.dubbing import dub
from lpips_jax.dubbing.engine import BATCH_SIZE, LENGTHS
from lpips_jax.dubbing.jobs import dub_all
from lpips_jax.media.detect import DETECTORS

flags.DEFINE_string('face', None, 'A video or a still image of somebody.')
flags.DEFINE_string('audio', None, 'What to say: a sound file, or a video whose sound is taken.')
flags.DEFINE_string('output', None, 'The mp4 to write.')
flags.DEFINE_string('checkpoint', None, 'A generator: the checkpoint directory that train.py left.')
flags.DEFINE_enum('detector', 'auto', DETECTORS, 'What finds the face; auto is YuNet where its file can be had.')
flags.DEFINE_string('detector_model', None, "YuNet's file, if not downloaded and not named by LIPSYNC_YUNET.")
flags.DEFINE_string('boxes', None, 'A JSON list with [left, top, right, bottom] or null for each frame: no detector.')
flags.DEFINE_list('pads', ['0', '0', '0', '0'], 'Pixels by which boxes grow: top,bottom,left,right.')
flags.DEFINE_enum('length', 'audio', LENGTHS, 'How long to be; a video shorter than the audio plays there and back.')
flags.DEFINE_string('jobs', None, 'A CSV file with the columns face, audio and output, dubbed by one warm model.')
flags.DEFINE_integer('batch_size', BATCH_SIZE, 'Frames generated at once.')


def main() -> None:
  given = flags.FLAGS
  names = 'detector', 'detector_model', 'boxes', 'length', 'batch_size'
  options = {name: given[name].value for name in names} | {'pads': _whole_numbers(given.pads)}
  if given.jobs is not None:
    cli.require_flags('checkpoint')
    dub_all(given.jobs, given.checkpoint, **options)
  else:
    cli.require_flags('face', 'audio', 'output', 'checkpoint')
    dub(given.face, given.audio, given.output, given.checkpoint, **options)
    print(f'wrote {given.output}')


def _whole_numbers(pads: list[str]) -> list[int]:
  try:
    return [int(pad) for pad in pads]
  except ValueError:
    cli.fail(f'--pads must be four whole numbers, top,bottom,left,right, not {",".join(pads)}')


if __name__ == '__main__':
  cli.run(main)
