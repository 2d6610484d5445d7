"""Dubs a video: a face and speech in, a lip-synced video out.

  python infer.py --face=face.mp4 --audio=speech.wav --output=dubbed.mp4 --checkpoint=runs/demo/checkpoint
  python infer.py --face=face.mp4 --text="Good morning." --output=dubbed.mp4 --checkpoint=runs/demo/checkpoint
  python infer.py --face=face.mp4 --text="Good morning." --drive=visemes --output=dubbed.mp4 --checkpoint=…
  python infer.py --jobs=jobs.csv --checkpoint=runs/demo/checkpoint

The face is a video or a still image; the speech is any file with a sound track, or a text that a synthetic voice says.
A list of jobs is a CSV file with the columns face, audio (or text) and output, and any of the flags of one dub;
`jobs.results.csv` records the result of each. Every path may be a URL, gs://… or s3://…, but voices and certificates.
"""

import contextlib
import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from absl import flags

from lpips_jax.core import cli
from lpips_jax.core.files import PathLike
from lpips_jax.core.jax_environment import keep_compiled_programs, share_accelerators
from lpips_jax.core.machine import return_freed_memory
from lpips_jax.dubbing.engine import DEFAULT_BATCH_SIZE, PRECISIONS, Dubber
from lpips_jax.dubbing.jobs import dub_all
from lpips_jax.dubbing.options import LABELS, LENGTHS, REFERENCES, SILENCES, SPEAKERS, Options, from_text
from lpips_jax.dubbing.stages import profile_table
from lpips_jax.faces.detect import DETECTORS
from lpips_jax.media.video_writer import CODECS, CONTAINERS
from lpips_jax.speaking.driving import DRIVES, SpeechSource, driving_speech

REMOTE = (
  *('checkpoint', 'speaker_expert', 'jobs', 'face', 'audio', 'text_file', 'turns', 'boxes', 'detector_model'),
  *('output', 'subtitles', 'save_boxes', 'preview', 'text'),  # the last is no path
)  # flags that may be URLs
LISTS = 'pads', 'face_at', 'face_part', 'audio_part', 'only'  # flags with numbers between commas

flags.DEFINE_string('face', None, 'A video or a still image of somebody.')
flags.DEFINE_string('audio', None, 'What to say: a sound file, or a video whose sound is used.')
flags.DEFINE_string('text', None, 'What to say, in place of --audio: a text.')
flags.DEFINE_string('text_file', None, 'What to say, in place of --audio: a text file.')
flags.DEFINE_string(
  'voice',
  None,
  'Who says a text: builtin (the default: a simple synthesiser of English), espeak, espeak:VARIANT, or a voice file of '
  'piper, *.onnx.',
)
flags.DEFINE_string('language', None, 'The language of a text, such as en-us, de, fr or cmn; by default English.')
flags.DEFINE_enum(
  'drive',
  None,
  DRIVES,
  'What drives the lips that say a text: its sound (the default), or the visemes of the sounds as builtin and espeak '
  'time them, for generators that hear visemes or phones.',
)
flags.DEFINE_string('subtitles', None, 'A file to write what is said to, of a text: .srt or .vtt.')
flags.DEFINE_string('output', None, f'The video to write, ending in {", ".join(CONTAINERS)}.')
flags.DEFINE_string('checkpoint', None, 'A generator: the checkpoint directory that train.py wrote.')
flags.DEFINE_boolean(
  'trust_stablehlo', False, 'Accept exported StableHLO, a program, as --checkpoint, if you trust it.'
)
flags.DEFINE_string(
  'jobs', None, 'A CSV file with the columns face, audio (or text), output, and any flags of one dub.'
)

flags.DEFINE_string('face_part', None, 'The part of the face video that is used, in seconds: begin,end.')
flags.DEFINE_string('audio_part', None, 'The part of the speech that is used, in seconds: begin,end.')
flags.DEFINE_string('only', None, 'The part of the dub that is made, in seconds: begin,end; to try it out.')
flags.DEFINE_enum(
  'length', 'audio', LENGTHS, 'Length of the output; a video shorter than the audio plays there and back.'
)
flags.DEFINE_enum('silence', 'model', SILENCES, 'Mouths in pauses: as the generator makes them, or shut.')
flags.DEFINE_enum(
  'reference',
  None,
  REFERENCES,
  'Shown to the generator: a mouth at rest, or the frame itself; by default as it was trained.',
)
flags.DEFINE_enum('detector', 'auto', DETECTORS, 'The face detector; auto is YuNet where its file is available.')
flags.DEFINE_string('detector_model', None, "YuNet's file, if not downloaded and not named by LIPSYNC_YUNET.")
flags.DEFINE_integer('face_index', None, 'Whom to dub: 0 is the leftmost face; by default the most prominent.')
flags.DEFINE_string('face_at', None, 'Whom to dub: the person whose face is at x,y (pixels) after t seconds, as x,y,t.')
flags.DEFINE_bool('all_faces', False, 'Dub every face.')
flags.DEFINE_enum('speaker', None, SPEAKERS, 'Whom to dub: auto is whoever speaks in the film, by its own sound.')
flags.DEFINE_string('speaker_expert', None, 'The sync expert that finds them; by default the one beside the generator.')
flags.DEFINE_string(
  'turns', None, 'In place of --audio: a JSON list of turns, each with begin, end, face, and audio or text.'
)
flags.DEFINE_string(
  'boxes', None, 'A JSON list with [left, top, right, bottom(, degrees)] or null for each frame: no detector.'
)
flags.DEFINE_string('save_boxes', None, 'A file to write the boxes to that were used, for --boxes of a second run.')
flags.DEFINE_string('pads', '0,0,0,0', 'Pixels by which boxes grow: top,bottom,left,right.')
flags.DEFINE_float('sharpen', 0.0, 'How much to sharpen generated faces; 1 is a lot.')
flags.DEFINE_enum('label', 'none', LABELS, 'corner writes "AI MODIFIED" into the picture.')
flags.DEFINE_bool('no_marks', False, 'Leave out the marks of provenance: that a network changed the video.')
flags.DEFINE_string('c2pa_cert', None, 'A PEM file, a certificate and its chain: signs the output, an .mp4 or .mov.')
flags.DEFINE_string('c2pa_key', None, "A PEM file, the certificate's private key.")
flags.DEFINE_string('preview', None, 'A second video to write: source, generated face and result, side by side.')
flags.DEFINE_enum('codec', None, list(CODECS), 'By default h264, and vp9 in a .webm.')
flags.DEFINE_integer('crf', None, "Constant quality, less is better; by default the codec's own.")
flags.DEFINE_integer('max_pixels', Options.max_pixels, 'The largest picture that is accepted, width times height.')
flags.DEFINE_float('max_minutes', Options.max_minutes, 'The longest speech that is accepted.')

flags.DEFINE_integer('batch_size', DEFAULT_BATCH_SIZE, 'Faces generated at once.')
flags.DEFINE_enum(
  'precision', 'auto', PRECISIONS, 'Numbers the generator computes with; auto: bfloat16 on GPUs and TPUs.'
)
flags.DEFINE_bool('profile', False, 'Print at the end what each step took.')
flags.DEFINE_integer(
  'process', None, 'The number of this process among those that share --jobs, from 0; SLURM sets it.'
)
flags.DEFINE_integer('processes', None, 'How many processes share --jobs; SLURM sets it.')


def main() -> None:
  given = flags.FLAGS
  keep_compiled_programs()
  return_freed_memory()
  options: dict[str, Any] = {
    field.name: given[field.name].value for field in dataclasses.fields(Options) if field.name in given
  }
  network = given.checkpoint, given.batch_size, given.precision, True, given.trust_stablehlo
  options |= from_text({name: str(given[name].value) for name in LISTS if given[name].value is not None})
  if given.jobs is not None:
    cli.require_flags('checkpoint')
    if any(given[name].value is not None for name in ('face', 'output', 'audio', 'text', 'text_file', 'subtitles')):
      cli.fail('--face, --audio, --text and --output are columns of --jobs: give them, or a list')
    process, processes = _process_share()
    if processes > 1:
      share_accelerators()
    dubber = Dubber(*network)
    try:
      dub_all(given.jobs, dubber, options, process, processes, _open_speech)
    finally:
      _print_profile(dubber)
  else:
    cli.require_flags('face', 'output', 'checkpoint')
    if given.process is not None or given.processes is not None:
      cli.fail('--process and --processes share a list of --jobs: give one, or leave them out')
    process, processes = _process_share()
    if process > 0:
      print(f'process {process} of {processes} has nothing to do: there is one dub')
      return
    dubber = Dubber(*network)
    with _open_speech({}, Options(**options)) as (audio, its_options):
      dubber.dub(given.face, audio, given.output, its_options)
    print(f'wrote {given.output}')
    _print_profile(dubber)


def _open_speech(
  columns: Mapping[str, str], options: Options
) -> contextlib.AbstractContextManager[tuple[PathLike | None, Options]]:
  """Opens the speech that the flags name, or the columns of a job, which go before them."""
  given = {field.name: flags.FLAGS[field.name].value for field in dataclasses.fields(SpeechSource)}
  return driving_speech(SpeechSource(**(given | dict(columns))), options)


def _print_profile(dubber: Dubber) -> None:
  if flags.FLAGS.profile and dubber.all_times:
    print(profile_table(dubber.all_times, dubber.all_seconds), flush=True)


def _process_share() -> tuple[int, int]:
  """Returns the number of this process, and how many there are: by the flags, else by SLURM, else the only one."""
  given = flags.FLAGS
  if (given.process is None) != (given.processes is None):
    cli.fail('--process and --processes belong together: give both')
  if given.process is not None:
    return given.process, given.processes
  if 'SLURM_STEP_NUM_TASKS' in os.environ:  # not in a shell of an allocation, where srun has started no tasks
    return int(os.environ['SLURM_PROCID']), int(os.environ['SLURM_STEP_NUM_TASKS'])
  return 0, 1


if __name__ == '__main__':
  cli.run(main, remote=REMOTE)
