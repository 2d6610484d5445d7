"""Scores checkpoints and ready videos, beside controls that say what the figures are worth.

Clips of a corpus, rebuilt from masked frames:
  python evaluate.py --checkpoint=runs/demo/checkpoint --dataset=talking_faces/quickstart --output=runs/eval

Ready videos, whoever made them:
  python evaluate.py --videos=wav2lip=DIR,ours=DIR --truth=DIR --sync_expert=runs/expert --output=runs/eval

Wav2Lip's lists of who is to speak whose words, dubbed and scored:
  python evaluate.py --pairs=test.txt --root=lrs2/main --checkpoint=ours=DIR,wav2lip=DIR --output=runs/eval

Leaves metrics.json, metrics.md, page.html, samples.png and samples.mp4 in --output, and clips.jsonl with all scores:
the same command goes on where it was cut short. LSE and FID need --syncnet and --inception, which
lpips_jax.interop.convert makes. With --seed=N the embedded corpus draws a test split of new speakers. With
--leakage each generator of a --dataset is shown other references, too: the very frame that is edited, and the mouth
at rest; a second table says what comes through of them in silence and in others' words.
"""

import json
import re
from pathlib import Path
from typing import Any

from absl import flags

from lpips_jax.core import cli
from lpips_jax.core.errors import UserError
from lpips_jax.core.files import alone_in, write_whole
from lpips_jax.faces.detect import DETECTORS

flags.DEFINE_list('checkpoint', [], 'Generators, as [NAME=]DIR,…, or one sync expert: checkpoint directories.')
flags.DEFINE_boolean('trust_stablehlo', False, 'Takes exported StableHLO, which is a program: if you trust it.')
flags.DEFINE_list('videos', [], 'Directories of ready videos, as [NAME=]DIR,….')
flags.DEFINE_string('truth', None, 'A directory of what was filmed, by the same names as --videos.')
flags.DEFINE_string('pairs', None, 'A list with "audio video" in each line; --videos are then named 00000, 00001, ….')
flags.DEFINE_string('root', None, 'What the names in --pairs are relative to.')
flags.DEFINE_string('dataset', None, 'A corpus: talking_faces, talking_faces/quickstart, lrs2, …')
flags.DEFINE_string('split', 'test', 'Its split.')
flags.DEFINE_string('data_dir', 'runs/data', 'Where TFDS keeps its datasets.')
flags.DEFINE_integer(
  'seed', None, 'Draws a fresh test split of the embedded corpus, of speakers never seen.', lower_bound=0
)
flags.DEFINE_integer('max_clips', None, 'Scores only the first clips.', lower_bound=2)
flags.DEFINE_boolean('leakage', False, "Adds how much of the reference's lips comes through, by three references.")
flags.DEFINE_string('sync_expert', None, 'What judges lips; by default the expert that the first generator had.')
flags.DEFINE_string('syncnet', None, 'A converted syncnet_v2.model, for LSE-D and LSE-C.')
flags.DEFINE_string('inception', None, "pytorch-fid's Inception, converted, for FID.")
flags.DEFINE_string('perceptual', None, "Weights of LPIPS: 'pretrained', a directory, or by default the generator's.")
flags.DEFINE_enum('detector', 'auto', DETECTORS, 'What finds faces in videos; auto is YuNet where it can be had.')
flags.DEFINE_string('detector_model', None, "YuNet's file, if not downloaded and not named by LIPSYNC_YUNET.")
flags.DEFINE_string('output', None, 'The directory for the results.')

NAME = re.compile(r'\w[\w.-]*')
VIDEO_SIZE = 96  # pixels of the crops of videos, where no generator says otherwise


def main() -> None:
  _check_flags()
  given = flags.FLAGS

  from lpips_jax import pretrained  # here, so that bad flags are told at once
  from lpips_jax.evaluation import leakage, scorers, scoring, summary
  from lpips_jax.evaluation.report import page

  networks = {name: pretrained.load(path, given.trust_stablehlo) for name, path in _checkpoints().items()}
  expert, generators = _sorted(networks)
  if given.leakage and not generators:
    cli.fail('--leakage is of generators: --checkpoint holds a sync expert')
  has_truth = bool(given.truth or (generators and given.dataset))
  perceptual = scorers.perceptual_source(given.perceptual, list(generators.values())) if has_truth else None
  judging = scorers.load_scorers(expert, given.syncnet, given.inception, perceptual, given.trust_stablehlo)
  sizes = [network.config.model.image_size for network in networks.values()]
  protocol = _protocol(generators, max(sizes, default=VIDEO_SIZE))

  output = Path(given.output)
  output.mkdir(parents=True, exist_ok=True)
  with alone_in(output):
    score_cache = scoring.ScoreCache(output)
    keys = {
      system: scoring.key_of(scorers=judging.identity, size=max(sizes, default=VIDEO_SIZE), system=rests_on)
      for system, rests_on in [*protocol.systems.items(), *protocol.more.items()]
    }
    scoring.score(protocol.entries, keys, judging, score_cache)
    names = list(dict.fromkeys(entry.name for entry in protocol.entries))
    rows = score_cache.rows(keys, names)
    found = summary.summarise(list(protocol.systems), rows, score_cache, judging.missing)
    leaked = leakage.tabulate(protocol.leakage, rows) if protocol.leakage else None
    text = summary.markdown(found) + ('' if leaked is None else '\n' + leakage.markdown(leaked))
    described = protocol.described | {'clips': len(names)}
    described |= {'step': next((network.step for network in networks.values()), None)}
    results = described | summary.flat(found) | summary.as_json(found)
    results |= {} if leaked is None else {'leakage': leakage.as_json(leaked)}
    write_whole(output / 'metrics.json', json.dumps(results, indent=2) + '\n')
    write_whole(output / 'metrics.md', text)
    shown = {output / name: caption for name, caption in protocol.write_samples(output).items()}
    write_whole(output / 'page.html', page(found, rows, described, shown, leaked))
  print(text + f'wrote {output}/metrics.json and {output}/page.html')


def _check_flags() -> None:
  cli.require_flags('output')
  given = flags.FLAGS
  if Path(given.output).is_file():
    cli.fail(f'--output={given.output} is a file: give a directory')
  if given.dataset and (given.videos or given.pairs):
    cli.fail('--dataset stands alone: give --videos or --pairs in another call')
  if not (given.dataset or given.videos or given.pairs):
    cli.fail('nothing to score: give --dataset, --videos or --pairs, see --help')
  if given.dataset:
    cli.require_flags('checkpoint')
  if given.leakage and not given.dataset:
    cli.fail('--leakage makes clips of a corpus anew: give --dataset')
  if given.pairs:
    cli.require_flags('root')
  elif given.checkpoint and not given.dataset:
    cli.fail('--checkpoint makes videos of --pairs, or rebuilds a --dataset: --videos alone are scored as they are')
  if given.truth and not (given.videos and not given.pairs):
    cli.fail('--truth is what --videos should look like: leave it out')


def _named(flag: str, default: str) -> dict[str, str]:
  """The [NAME=]DIR,… of a flag by name; one alone needs none."""
  from lpips_jax.evaluation.leakage import ORACLE
  from lpips_jax.evaluation.systems import OF_A_CLIP, OF_A_GENERATOR

  taken = {*OF_A_CLIP, *OF_A_GENERATOR, ORACLE} - {default}
  named = {}
  values = [value for value in flags.FLAGS[flag].value if value]
  for value in values:
    name, _, path = ('', '', value) if Path(value).exists() else value.rpartition('=')
    if not path:
      cli.fail(f'--{flag}: {value} names no directory')
    if not name and len(values) > 1:
      cli.fail(f'--{flag}={",".join(values)}: name each of several, as NAME={value}')
    if name and not NAME.fullmatch(name):
      cli.fail(f'--{flag}: {name!r} is no name: letters, digits, _, - and . make one')
    if name in named or name in taken:
      cli.fail(f'--{flag}: {name} is the name of another row of the table')
    named[name or default] = path
  return named


def _checkpoints() -> dict[str, str]:
  return _named('checkpoint', 'generated')


def _videos() -> dict[str, str]:
  videos = _named('videos', 'videos')
  for name in videos.keys() & _checkpoints().keys():
    cli.fail(f'--videos: {name} is the name of a --checkpoint')
  return videos


def _sorted(networks: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
  """The sync expert that judges, or why there is none, and the generators to be judged."""
  from lpips_jax import pretrained

  given = flags.FLAGS
  experts = [network for network in networks.values() if network.config.task == 'sync_expert']
  if experts and len(networks) == 1:
    return experts[0], {}
  for name, network in networks.items():
    if network.config.task != 'generator':
      cli.fail(f'--checkpoint: {name} holds a {network.config.task}, not a generator')
  if given.sync_expert:
    return pretrained.load_expert(given.sync_expert), networks
  if not networks:
    return 'needs --sync_expert', {}
  try:
    return pretrained.expert_of(next(iter(_checkpoints().values()))), networks
  except UserError as error:
    return str(error), networks


def _protocol(generators: dict[str, Any], image_size: int) -> Any:
  """What is to be scored, by which flag asks for it."""
  from lpips_jax.evaluation import pairs, videos

  given = flags.FLAGS
  if given.dataset:
    from data_pipeline import evaluation_split

    chosen = evaluation_split.SplitSelection(given.dataset, given.split, given.seed, given.data_dir, given.max_clips)
    return evaluation_split.protocol(chosen, generators, image_size, given.leakage)
  detector = {'detector': given.detector, 'detector_model': given.detector_model}
  ready = {name: Path(path) for name, path in _videos().items()}
  if given.pairs:
    made = Path(given.output) / 'videos'
    listed = pairs.read_pairs(Path(given.pairs), Path(given.root), given.max_clips)
    return pairs.protocol(listed, generators, made, ready, detector, image_size)
  truth = None if given.truth is None else Path(given.truth)
  return videos.protocol(ready, truth, detector, given.max_clips, image_size)


if __name__ == '__main__':
  cli.run(main)
