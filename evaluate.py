"""Scores checkpoints and ready videos, beside controls that give the figures a scale.

Clips of a corpus, rebuilt from masked frames:
  python evaluate.py --checkpoint=runs/demo/checkpoint --dataset=talking_faces/quickstart --output=runs/eval

Ready videos, whoever made them:
  python evaluate.py --videos=wav2lip=DIR,ours=DIR --truth=DIR --sync_expert=runs/expert --output=runs/eval

Wav2Lip's lists, which pair faces with other people's words, dubbed and scored:
  python evaluate.py --pairs=test.txt --root=lrs2/main --checkpoint=ours=DIR,wav2lip=DIR --output=runs/eval

Writes metrics.json, metrics.md, page.html, samples.png and samples.mp4 into --output, and clips.jsonl with all scores:
the same command resumes where it was cut short. LSE and FID need --syncnet and --inception, which
lpips_jax.interop.convert makes. With --seed=N the embedded corpus draws a test split of new speakers. With
--leakage each generator of a --dataset is shown other references as well: the very frame that is edited, and the mouth
at rest; a second table says what comes through of them in silence and in others' words. Every path may be a URL, gs://…
or s3://….
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from absl import flags

from lpips_jax.core import cli
from lpips_jax.core.files import URL, shown
from lpips_jax.faces.detect import DETECTORS

flags.DEFINE_list('checkpoint', [], 'Generators, as [NAME=]DIR,…, or one expert or lip reader: checkpoint directories.')
flags.DEFINE_boolean('trust_stablehlo', False, 'Loads exported StableHLO, which is a program: if you trust it.')
flags.DEFINE_list('videos', [], 'Directories of ready videos, as [NAME=]DIR,….')
flags.DEFINE_string('truth', None, 'A directory of what was filmed, by the same names as --videos.')
flags.DEFINE_string('pairs', None, 'A list with "audio video" in each line; --videos are then named 00000, 00001, ….')
flags.DEFINE_string('root', None, 'The directory that the names in --pairs are relative to.')
flags.DEFINE_string('dataset', None, 'A corpus: talking_faces, talking_faces/quickstart, lrs2, …')
flags.DEFINE_string('split', 'test', 'Its split.')
flags.DEFINE_string('data_dir', 'runs/data', 'Where TFDS keeps its datasets.')
flags.DEFINE_integer(
  'seed', None, 'Draws a fresh test split of the embedded corpus, of speakers never seen.', lower_bound=0
)
flags.DEFINE_integer('max_clips', None, 'Scores only the first clips.', lower_bound=2)
flags.DEFINE_boolean('leakage', False, "Adds how much of the reference's lips comes through, by three references.")
flags.DEFINE_string('sync_expert', None, 'Scores lips; by default the expert that the first generator had.')
flags.DEFINE_list('lip_reader', [], 'Lip readers, as [NAME=]DIR,…: adds what they misread on the lips.')
flags.DEFINE_string('av_expert', None, 'An AV-HuBERT: adds AVS_u, AVS_m and AVS_v.')
flags.DEFINE_string('syncnet', None, 'A converted syncnet_v2.model, for LSE-D and LSE-C.')
flags.DEFINE_string('inception', None, "pytorch-fid's Inception, converted, for FID.")
flags.DEFINE_string('perceptual', None, "Weights of LPIPS: 'pretrained', a directory, or by default the generator's.")
flags.DEFINE_enum('detector', 'auto', DETECTORS, 'Finds faces in videos; auto is YuNet where it is available.')
flags.DEFINE_string('detector_model', None, "YuNet's file, if not downloaded and not named by LIPSYNC_YUNET.")
flags.DEFINE_string('output', None, 'The directory for the results.')

REMOTE = (
  *('checkpoint', 'videos', 'truth', 'pairs', 'root', 'data_dir', 'detector_model', 'output'),
  *('sync_expert', 'lip_reader', 'av_expert', 'syncnet', 'inception', 'perceptual'),
)  # flags that may be URLs
NAME = re.compile(r'\w[\w.-]*')


def main() -> None:
  given = flags.FLAGS
  _check_flags(given)

  from data_pipeline import evaluation_split  # here, so that bad flags are reported at once
  from lpips_jax.evaluation import pairs, protocols, scorers, videos
  from lpips_jax.evaluation.networks import load_networks
  from lpips_jax.storage.staging import staged
  from lpips_jax.storage.working_copy import working_copy

  checkpoints = _named_directories('checkpoint', given.checkpoint, 'generated', _row_names())
  named = _named_directories('videos', given.videos, 'videos', _row_names())
  readers = _named_directories('lip_reader', given.lip_reader, '', {*_row_names(), *checkpoints, *named})
  for name in named.keys() & checkpoints.keys():
    cli.fail(f'--videos: {name} is the name of a --checkpoint')
  ready = {name: staged(path, videos.videos_among) for name, path in named.items()}

  networks = load_networks(checkpoints, given.sync_expert, given.trust_stablehlo, readers, given.av_expert)
  generators, image_size = networks.generators, networks.image_size
  if given.leakage and not generators:
    cli.fail('--leakage is of generators: --checkpoint holds none')
  has_truth = bool(given.truth or (generators and given.dataset))
  perceptual = scorers.perceptual_source(given.perceptual, list(generators.values())) if has_truth else None
  loaded = scorers.load_scorers(networks.expert, given.syncnet, given.inception, perceptual, given.trust_stablehlo)
  loaded = replace(loaded, readers=networks.readers, av_expert=networks.av_expert, remarks=networks.remarks)
  detector = given.detector, given.detector_model and staged(given.detector_model)

  with working_copy(given.output) as output:
    if given.dataset:
      chosen = evaluation_split.SplitSelection(given.dataset, given.split, given.seed, given.data_dir, given.max_clips)
      protocol = evaluation_split.protocol(chosen, generators, image_size, given.leakage)
    elif given.pairs:
      listed = pairs.read_pairs(given.pairs, given.root, given.max_clips)
      protocol = pairs.protocol(listed, generators, output / 'videos', ready, image_size, *detector)
    else:
      truth = None if given.truth is None else staged(given.truth, videos.videos_among)
      protocol = videos.protocol(ready, truth, image_size, given.max_clips, *detector)
    print(protocols.evaluate(protocol, loaded, image_size, networks.step, output), end='')
    print(shown(f'wrote {output}/metrics.json and {output}/page.html'))


def _check_flags(given: flags.FlagValues) -> None:
  """Raises UserError for combinations of flags that make no sense, before anything expensive starts."""
  cli.require_flags('output')
  if Path(given.output).is_file():
    cli.fail(f'--output={given.output} is a file: give a directory')
  if given.dataset and (given.videos or given.pairs):
    cli.fail('--dataset stands alone: give --videos or --pairs in another call')
  if not (given.dataset or given.videos or given.pairs):
    cli.fail('nothing to score: give --dataset, --videos or --pairs, see --help')
  if given.dataset:
    cli.require_flags('checkpoint')
  if given.leakage and not given.dataset:
    cli.fail('--leakage rebuilds the clips of a corpus: give --dataset')
  if given.pairs:
    cli.require_flags('root')
  elif given.checkpoint and not given.dataset:
    cli.fail('--checkpoint makes videos of --pairs, or rebuilds a --dataset: --videos alone are scored as they are')
  if given.truth and not (given.videos and not given.pairs):
    cli.fail('--truth is what --videos should look like: leave it out')


def _row_names() -> set[str]:
  """The names of rows that the table has anyway."""
  from lpips_jax.evaluation.systems import CLIP_SYSTEMS, GENERATOR_SYSTEMS

  return {*CLIP_SYSTEMS, *GENERATOR_SYSTEMS}


def _named_directories(flag: str, values: Sequence[str], default: str, rows: Collection[str] = ()) -> dict[str, str]:
  """Returns the [NAME=]DIR,… of a flag by name; a single directory needs no name, and gets the default.

  Args:
    flag: its name.
    values: what was given.
    default: the name of a single directory.
    rows: names of rows of the table, which are no names of directories.
  """
  named: dict[str, str] = {}
  values = [value for value in values if value]
  for value in values:
    name, _, path = ('', '', value) if URL.match(value) or Path(value).exists() else value.rpartition('=')
    if not path:
      cli.fail(f'--{flag}: {value} names no directory')
    if not name and len(values) > 1:
      cli.fail(f'--{flag}={",".join(values)}: name each of several, as NAME={value}')
    if name and not NAME.fullmatch(name):
      cli.fail(f'--{flag}: {name!r} is no name: letters, digits, _, - and . make one')
    if name in named or (name in rows and name != default):
      cli.fail(f'--{flag}: {name} is the name of another row of the table')
    named[name or default] = path
  return named


if __name__ == '__main__':
  cli.run(main, remote=REMOTE)
