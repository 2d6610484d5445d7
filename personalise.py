"""Tunes a generator to one person, from a minute or more of them speaking, and says what that gained.

  python personalise.py --video=me.mp4 --checkpoint=BASE --workdir=runs/me

The last fifth of the video is held out: there, what was tuned is scored beside the base, and dubbed as a preview.
Leaves in --workdir the checkpoint, page.html with figures, pictures and videos, preview/ and evaluation/, and says how
to dub with it. The same command goes on where it was cut short.
"""

import shlex
import time
from pathlib import Path
from typing import Any

from absl import flags

from lpips_jax.core import cli
from lpips_jax.core.files import write_whole
from lpips_jax.core.jax_environment import keep_compiled_programs
from lpips_jax.faces.detect import DETECTORS, choose_detector, make_detector

TUNING = 'tuning'  # the run, within --workdir

flags.DEFINE_list('video', [], 'Videos of one person who speaks, or directories with some: files between commas.')
flags.DEFINE_string('checkpoint', None, 'The generator to begin with: its checkpoint directory.')
flags.DEFINE_string('workdir', None, 'Where everything goes.')
flags.DEFINE_integer('steps', None, 'How many steps to tune for; 400 by default.', lower_bound=1)
flags.DEFINE_string('sync_expert', '', 'A sync expert; by default the one that is kept with --checkpoint.')
flags.DEFINE_enum('detector', 'auto', DETECTORS, 'What finds faces; auto is YuNet where it can be had.')
flags.DEFINE_string('detector_model', None, "YuNet's file, if not downloaded and not named by LIPSYNC_YUNET.")


def main() -> None:
  cli.require_flags('video', 'checkpoint', 'workdir')
  given, began = flags.FLAGS, time.monotonic()
  workdir = Path(given.workdir)
  if workdir.is_file():
    cli.fail(f'--workdir={workdir} is a file: give a directory')
  keep_compiled_programs()

  from data_pipeline import personal_corpus  # here, so that bad flags are told at once
  from lpips_jax.personalising import estimate

  # ---- everything that can be wrong is told before anything takes long
  videos = personal_corpus.find_videos(given.video)
  config = _config(workdir)
  detector = choose_detector(given.detector, given.detector_model)
  find = make_detector(*detector)

  _stage(1, f'preparing {", ".join(path.name for path in videos)}')
  if not personal_corpus.is_prepared(workdir):
    to_prepare = estimate.shown(personal_corpus.preparation_seconds(videos, find))
    print(f'this takes about {to_prepare}, and then it is told how long the rest takes', flush=True)
  person = personal_corpus.prepare(videos, workdir, config.model.image_size, detector)
  print(f'{person.training:.1f} s to train on, {person.held_out:.1f} s held out')

  from lpips_jax import pretrained

  base = pretrained.load_weights(given.checkpoint)
  left = config.steps - _steps_done(workdir / TUNING / 'checkpoint')
  print(estimate.told(estimate.measure(base, config), max(0, left), person.held_out), flush=True)
  _stage(2, f'tuning for {config.steps} steps')
  if _train(config, workdir / TUNING) < config.steps:
    return
  tuned = _part_way(base, workdir, config.steps)

  _stage(3, f'scoring on the {person.held_out:.1f} s held out')
  summary = _score(base, tuned, config, workdir)
  _stage(4, f'dubbing the end of {person.last.name} with its own speech')
  how = _show(summary, base, tuned, person, videos, workdir)
  print(f'done in {estimate.shown(time.monotonic() - began)}; to dub: {how}')


def _config(workdir: Path) -> Any:
  """The config of the run; whatever is wrong with base, expert or directory is told."""
  from configs import lrs2
  from data_pipeline import personal_corpus
  from lpips_jax import pretrained
  from lpips_jax.personalising import recipe
  from lpips_jax.training.validation import check_config

  given, made = flags.FLAGS, workdir / TUNING / 'checkpoint'
  base = recipe.read_base(given.checkpoint, given.sync_expert)
  config = recipe.tuning(base, lrs2.get_config(), given.steps or recipe.STEPS)
  config.update(init_from=given.checkpoint, sync_expert=given.sync_expert)
  if config.silent_generator:
    config.silent_generator = str(pretrained.find(given.checkpoint) / pretrained.SILENT_GENERATOR)
  config.data.update(name=personal_corpus.CORPUS, data_dir=str(workdir / 'data'))
  config.data.update(split=personal_corpus.TRAINING, eval_split=personal_corpus.HELD_OUT)
  check_config(config)
  if _steps_done(made) and pretrained.read_config(made).get('init_from') != given.checkpoint:
    cli.fail(f'{workdir} was begun with another --checkpoint: use another --workdir')
  return config


def _steps_done(checkpoint: Path) -> int:
  return max((int(step.name) for step in checkpoint.glob('[0-9]*') if step.name.isdigit()), default=0)


def _stage(number: int, what: str) -> None:
  print(f'{number} of 4: {what}', flush=True)


def _train(config: Any, workdir: Path) -> int:
  """Tunes, or goes on; returns the step that was reached."""
  from data_pipeline import input as data
  from lpips_jax.training.loop import TrainData, train

  def open_data(config: Any) -> TrainData:
    return TrainData(data.train_batches(config), data.eval_batches(config), data.clips_to_watch(config))

  return int(train(config, workdir, open_data).step)


def _part_way(base: Any, workdir: Path, step: int) -> Any:
  """Keeps, as the checkpoint, the network between the base and what it was tuned to; returns it."""
  from lpips_jax import pretrained
  from lpips_jax.personalising import recipe

  made = workdir / 'checkpoint'
  if not (made / str(step)).exists():  # or the run has gone on since
    recipe.keep_part_way(made, base, workdir / TUNING / 'checkpoint')
  return pretrained.load(made)


def _score(base: Any, tuned: Any, config: Any, workdir: Path) -> Any:
  """Scores both on the held-out part, and says what they have in common."""
  from data_pipeline import evaluation_split
  from lpips_jax import pretrained
  from lpips_jax.evaluation import scorers
  from lpips_jax.personalising import scoring

  size = config.model.image_size
  chosen = evaluation_split.SplitSelection(config.data.name, config.data.eval_split, None, config.data.data_dir, None)
  protocol = evaluation_split.protocol(chosen, {scoring.BASE: base, scoring.TUNED: tuned}, size)
  expert = pretrained.expert_of(workdir / 'checkpoint')
  judging = scorers.load_scorers(expert, None, None, dict(config.perceptual))
  found = scoring.score(protocol, judging, size, workdir / 'evaluation')
  print(scoring.brief(found), flush=True)
  return found


def _show(summary: Any, base: Any, tuned: Any, person: Any, videos: list[Path], workdir: Path) -> str:
  """Dubs the preview and writes the page; returns the command that dubs."""
  from lpips_jax.dubbing import Options
  from lpips_jax.personalising import page, preview

  given, made = flags.FLAGS, workdir / 'checkpoint'
  options = Options(detector=given.detector, detector_model=given.detector_model)
  shown, moments = preview.make(person.last, person.last_seconds, [base, tuned], workdir / 'preview', options)
  how = shlex.join(
    ['python', 'infer.py', f'--face={videos[0]}', '--audio=speech.wav', '--output=dubbed.mp4', f'--checkpoint={made}']
  )
  described = {
    'videos': ', '.join(map(str, videos)),
    'base': f'{given.checkpoint}, step {base.step}',
    'seconds trained on': f'{person.training:.1f}',
    'seconds held out': f'{person.held_out:.1f}',
    'steps': tuned.step,
  }
  write_whole(workdir / page.FILE, page.page(summary, moments, shown, described, how))
  print(f'look at {workdir / page.FILE} and {shown[-1]}')
  return how


if __name__ == '__main__':
  cli.run(main)
