"""Tunes a generator to one person, from a minute or more of video of them speaking, and reports the gain.

  python personalise.py --video=me.mp4 --checkpoint=BASE --workdir=runs/me

The last fifth of the video is held out: it is used to score the tuned generator beside the base, and dubbed as a
preview. Writes to --workdir the checkpoint, page.html with scores, pictures and videos, preview/ and evaluation/, and
prints the command that dubs with the checkpoint. The same command resumes an interrupted run. Every path may be a URL,
gs://… or s3://….
"""

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from lpips_jax.core import cli
from lpips_jax.core.files import shown, write_whole
from lpips_jax.core.jax_environment import keep_compiled_programs
from lpips_jax.faces.detect import DETECTORS, choose_detector, make_detector
from lpips_jax.storage.staging import staged
from lpips_jax.storage.working_copy import working_copy

if TYPE_CHECKING:
  from ml_collections import ConfigDict

  from data_pipeline.personal_corpus import PersonalCorpus
  from lpips_jax.evaluation.summary import Summary
  from lpips_jax.pretrained import Pretrained

TUNING = 'tuning'  # directory of the training run, within --workdir

flags.DEFINE_list('video', [], 'Videos of one person speaking, or directories of them, separated by commas.')
flags.DEFINE_string('checkpoint', None, 'The generator to start from: its checkpoint directory.')
flags.DEFINE_string('workdir', None, 'Where everything goes.')
flags.DEFINE_integer('steps', None, 'The number of steps to tune for; 400 by default.', lower_bound=1)
flags.DEFINE_string('sync_expert', '', 'A sync expert; by default the one kept beside --checkpoint.')
flags.DEFINE_enum('detector', 'auto', DETECTORS, 'The face detector; auto is YuNet where it is available.')
flags.DEFINE_string('detector_model', None, "YuNet's file, if not downloaded and not named by LIPSYNC_YUNET.")


def main() -> None:
  cli.require_flags('video', 'checkpoint', 'workdir')
  given = flags.FLAGS
  if Path(given.workdir).is_file():
    cli.fail(f'--workdir={given.workdir} is a file: give a directory')
  keep_compiled_programs()
  with working_copy(given.workdir) as workdir:
    _personalise(workdir)


def _personalise(workdir: Path) -> None:
  given, began = flags.FLAGS, time.monotonic()

  from data_pipeline import personal_corpus  # here, so that bad flags are reported at once
  from lpips_jax.personalising import estimate

  # ---- everything that can be wrong is checked before anything takes long
  videos = personal_corpus.find_videos([str(staged(video)) for video in given.video])
  config = _make_config(workdir)
  detector = choose_detector(given.detector, given.detector_model and staged(given.detector_model))
  find = make_detector(*detector)

  _print_stage(1, f'preparing {", ".join(path.name for path in videos)}')
  if not personal_corpus.is_prepared(workdir):
    duration = estimate.format_duration(personal_corpus.preparation_seconds(videos, find))
    print(f'this takes about {duration}; an estimate for the rest follows', flush=True)
  person = personal_corpus.prepare(videos, workdir, config.model.image_size, detector)
  print(f'{person.training_seconds:.1f} s to train on, {person.held_out_seconds:.1f} s held out')

  from lpips_jax import pretrained

  base = pretrained.load_weights(given.checkpoint)
  remaining = max(0, config.steps - _steps_done(workdir / TUNING / 'checkpoint'))
  print(estimate.describe(estimate.measure(base, config), remaining, person.held_out_seconds), flush=True)
  _print_stage(2, f'tuning for {config.steps} steps')
  if _train(config, workdir / TUNING) < config.steps:
    return
  tuned = _save_interpolated(base, workdir, config.steps)

  _print_stage(3, f'scoring on the {person.held_out_seconds:.1f} s held out')
  summary = _score(base, tuned, config, workdir)
  _print_stage(4, f'dubbing the end of {person.held_out_video.name} with its own speech')
  command = _write_page(summary, base, tuned, person, videos, workdir)
  print(f'done in {estimate.format_duration(time.monotonic() - began)}; to dub: {command}')


def _make_config(workdir: Path) -> 'ConfigDict':
  """Returns the config of the run; raises UserError for a base, an expert or a directory that cannot be used."""
  from configs import lrs2
  from data_pipeline import personal_corpus
  from lpips_jax import pretrained
  from lpips_jax.personalising import recipe
  from lpips_jax.training.validation import check_config

  given, checkpoint = flags.FLAGS, workdir / TUNING / 'checkpoint'
  base = recipe.read_base(given.checkpoint, given.sync_expert)
  config = recipe.tuning_config(base, lrs2.get_config(), given.steps or recipe.STEPS)
  config.update(init_from=given.checkpoint, sync_expert=given.sync_expert)
  if config.silent_generator:
    config.silent_generator = shown(str(pretrained.find(given.checkpoint) / pretrained.SILENT_GENERATOR))
  config.data.update(name=personal_corpus.CORPUS, data_dir=str(workdir / 'data'))
  config.data.update(split=personal_corpus.TRAIN_SPLIT, eval_split=personal_corpus.HELD_OUT_SPLIT)
  check_config(config)
  if _steps_done(checkpoint) and pretrained.read_config(checkpoint).get('init_from') != given.checkpoint:
    cli.fail(f'{given.workdir} was started with another --checkpoint: use another --workdir')
  return config


def _steps_done(checkpoint: Path) -> int:
  return max((int(step.name) for step in checkpoint.glob('[0-9]*') if step.name.isdigit()), default=0)


def _print_stage(number: int, title: str) -> None:
  print(f'{number} of 4: {title}', flush=True)


def _train(config: 'ConfigDict', workdir: Path) -> int:
  """Starts or resumes the tuning run; returns the step that it reached."""
  from data_pipeline import input as data
  from lpips_jax.training.loop import TrainData, train

  def open_data(config: 'ConfigDict') -> TrainData:
    return TrainData(data.train_batches(config), data.eval_batches(config), data.clips_to_watch(config))

  return int(train(config, workdir, open_data).step)


def _save_interpolated(base: 'Pretrained', workdir: Path, step: int) -> 'Pretrained':
  """Writes the checkpoint, the network between the base and the tuned one, unless it exists; returns it."""
  from lpips_jax import pretrained
  from lpips_jax.personalising import recipe

  checkpoint = workdir / 'checkpoint'
  if not (checkpoint / str(step)).exists():  # or the run has continued since
    recipe.save_interpolated(checkpoint, base, workdir / TUNING / 'checkpoint')
  return pretrained.load_weights(checkpoint)


def _score(base: 'Pretrained', tuned: 'Pretrained', config: 'ConfigDict', workdir: Path) -> 'Summary':
  """Scores both networks on the held-out part, and prints the measures they have in common."""
  from data_pipeline import evaluation_split
  from lpips_jax import pretrained
  from lpips_jax.evaluation import scorers
  from lpips_jax.personalising import scoring

  size = config.model.image_size
  chosen = evaluation_split.SplitSelection(config.data.name, config.data.eval_split, None, config.data.data_dir, None)
  protocol = evaluation_split.protocol(chosen, {scoring.BASE: base, scoring.TUNED: tuned}, size)
  expert = pretrained.load_expert_of(workdir / 'checkpoint')
  loaded = scorers.load_scorers(expert, None, None, dict(config.perceptual))
  summary = scoring.score(protocol, loaded, size, workdir / 'evaluation')
  print(scoring.as_lines(summary), flush=True)
  return summary


def _write_page(
  summary: 'Summary',
  base: 'Pretrained',
  tuned: 'Pretrained',
  person: 'PersonalCorpus',
  videos: list[Path],
  workdir: Path,
) -> str:
  """Dubs the preview and writes the page; returns the command that dubs with the checkpoint."""
  from lpips_jax.dubbing import Options
  from lpips_jax.personalising import page
  from lpips_jax.personalising.preview import make_preview

  given, checkpoint = flags.FLAGS, workdir / 'checkpoint'
  options = Options(detector=given.detector, detector_model=given.detector_model)
  preview = make_preview(
    person.held_out_video, person.held_out_video_seconds, base, tuned, workdir / 'preview', options
  )
  arguments = (f'--face={videos[0]}', '--audio=speech.wav', '--output=dubbed.mp4', f'--checkpoint={checkpoint}')
  command = shlex.join(['python', 'infer.py', *map(shown, arguments)])
  described = {
    'videos': shown(', '.join(map(str, videos))),
    'base': f'{given.checkpoint}, step {base.step}',
    'seconds trained on': f'{person.training_seconds:.1f}',
    'seconds held out': f'{person.held_out_seconds:.1f}',
    'steps': tuned.step,
  }
  write_whole(workdir / page.FILE, page.page(summary, preview, described, command))
  print(shown(f'look at {workdir / page.FILE} and {preview.side_by_side}'))
  return command


if __name__ == '__main__':
  cli.run(main, remote=('video', 'checkpoint', 'workdir', 'sync_expert', 'detector_model'))
