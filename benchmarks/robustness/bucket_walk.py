"""The whole way from raw videos to reports with every path in a bucket, beside the same way on this machine's disk.

  python -m benchmarks.robustness.bucket_walk --store=gs --output=walk.json

Walks twice through the same commands, at tiny sizes: prepare, build, inspect, train, evaluate, infer, export, report.
The bucket is on loopback, and holds the raw videos, too. Each command runs as if on a machine of its own, which has no
copies of what is in the bucket. Compared is all that the commands leave, but for times and the names of places; the
seconds are those of two walks one after the other, of which the second finds JAX's programs compiled.
"""

import itertools
import json
import re
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from absl import flags

from benchmarks import buckets, commands
from benchmarks.robustness.bucket_kills import STDERR, equal
from benchmarks.robustness.forked import Command
from benchmarks.tiny import TINY_OVERRIDES
from data_pipeline import corpora
from data_pipeline.corpora.talking_faces.clips import draw_clip
from data_pipeline.records import Record
from lpips_jax import pretrained
from lpips_jax.core import cli
from lpips_jax.core.progress import progress_bar
from lpips_jax.media.video_writer import write_clip
from lpips_jax.storage.staging import staged
from lpips_jax.storage.transfer import STEP, is_unfinished, upload
from lpips_jax.training import goodput
from lpips_jax.training.report import PACE

SPEAKERS, SECONDS, SIDE = 5, 1.2, 160  # of the raw videos, one of each speaker, two of whom are held out; pixels
CORPUS, SPLITS, HELD_OUT = 'folder', ('train', 'val', 'test'), 'val+test'
STEPS, SAVE_EVERY = 4, 2
EXPERT, GENERATOR = 'runs/expert', 'runs/generator'
TASKS = {EXPERT: 'sync_expert', GENERATOR: 'generator'}  # by their workdirs
OUTPUTS = {  # what each stage leaves
  'prepare': 'prepared',
  'build': 'data',
  'inspect': 'inspect.html',
  'train an expert': EXPERT,
  'train a generator': GENERATOR,
  'evaluate': 'evaluation',
  'infer': 'dubbed.mp4',
  'export stablehlo': 'exported/stablehlo',
  'export safetensors': 'exported/safetensors',
  'report': 'report.html',
}
DETECTOR = '--detector=cascade'  # needs no file
COMPARED_APART = re.compile(STEP.pattern + r'|.*\.array_record|.*/events\.out\.')  # beginnings of names
TIMES_OF_REPORT = re.compile(
  r'<section>\s*<h2>(?:Throughput|Time)</h2>.*?</section>|<tr><td class="text">(?:'
  + '|'.join(PACE)
  + r')</td>.*?</tr>',
  re.DOTALL,
)


def define_flags() -> None:
  flags.DEFINE_enum('store', 'gs', ['gs', 's3'], 'The store.')
  flags.DEFINE_string('output', None, 'JSON file for the figures.')


def main() -> None:
  commands.require_directory_of(flags.FLAGS.output)
  with tempfile.TemporaryDirectory() as temporary, buckets.bucket(flags.FLAGS.store) as bucket:
    own = bucket.for_copies(Path(temporary))
    with buckets.environment(own):
      found = walk_and_compare(bucket._replace(environment=own), Path(temporary))
  for stage, figures in found.items():
    print(json.dumps({stage: figures}))
  commands.write_figures(flags.FLAGS.output, found)


def walk_and_compare(bucket: buckets.Bucket, directory: Path) -> dict[str, dict[str, Any]]:
  """Walks on the disk of this machine, then in a bucket.

  Args:
    bucket: which this process's clients find.
    directory: of this machine; gets the local walk.

  Returns:
    For each stage how many files were compared, which differ, and the seconds of its two commands.
  """
  disk, url = directory / 'disk', f'{bucket.url}/walk'
  draw_videos(disk / 'raw')
  upload(disk / 'raw', f'{url}/raw')
  lines = {str(disk): command_lines(str(disk)), url: command_lines(url)}
  seconds: dict[str, list[float]] = {stage: [] for stage in OUTPUTS}
  with progress_bar('walk', len(lines) * len(OUTPUTS), 'command') as bar:
    for root, stage in itertools.product(lines, OUTPUTS):
      seconds[stage].append(round(run(lines[root][stage], bucket), 1))
      bar.update()
  walks = Walks(disk, staged(url), url)
  figures = {}
  for stage, output in OUTPUTS.items():
    names, differing = walks.compare(output)
    if stage == 'build':
      differing += walks.differing_splits()
    if output in TASKS:
      differing += walks.differing_steps(output)
    times = {'seconds on a disk': seconds[stage][0], 'seconds in the bucket': seconds[stage][1]}
    figures[stage] = {'files': len(names), 'differing': differing} | times
  return figures


# ---- walking


def draw_videos(directory: Path) -> None:
  """Writes raw videos in the layout of `data_pipeline.preprocess` that is called folder."""
  directory.mkdir(parents=True)
  for speaker in range(SPEAKERS):
    clip = draw_clip(0, 'train', speaker, 0, SECONDS)
    write_clip(directory / f'{speaker}.mp4', clip.scene(SIDE), (SIDE, SIDE), clip.audio)


def command_lines(root: str) -> dict[str, list[str]]:
  """Returns what follows `python` in the command of each stage, with all paths beneath a directory or URL."""
  checkpoint, data = f'{root}/{GENERATOR}/checkpoint', f'--data_dir={root}/data'
  prepare = ['-m', 'data_pipeline.preprocess', f'--source={root}/raw', '--layout=folder', '--workers=0', DETECTOR]
  build = ['-m', 'data_pipeline.build', str(commands.ROOT / 'data_pipeline' / 'corpora' / CORPUS)]
  inspect = ['-m', 'data_pipeline.inspect', CORPUS, '--windows=4']
  evaluate = [
    str(commands.ROOT / 'evaluate.py'),
    f'--checkpoint={checkpoint}',
    f'--dataset={CORPUS}',
    f'--split={HELD_OUT}',
  ]
  infer = [
    str(commands.ROOT / 'infer.py'),
    f'--checkpoint={checkpoint}',
    f'--face={root}/raw/0.mp4',
    DETECTOR,
  ]
  export = ['-m', 'lpips_jax.interop.export', checkpoint]
  lines = {
    'prepare': [*prepare, '--output=OUTPUT'],
    'build': [*build, f'--manual_dir={root}/prepared', '--data_dir=OUTPUT'],
    'inspect': [*inspect, data, '--output=OUTPUT'],
    'train an expert': _training(root, 'sync_expert'),
    'train a generator': _training(root, 'generator'),
    'evaluate': [*evaluate, data, '--output=OUTPUT'],
    'infer': [*infer, f'--audio={root}/raw/1.mp4', '--output=OUTPUT'],
    'export stablehlo': [*export, 'OUTPUT', '--format=stablehlo'],
    'export safetensors': [*export, 'OUTPUT', '--format=safetensors'],
    'report': ['-m', 'lpips_jax.training.report', f'{root}/{GENERATOR}', '--output=OUTPUT'],
  }
  return {stage: [part.replace('OUTPUT', f'{root}/{OUTPUTS[stage]}') for part in line] for stage, line in lines.items()}


def _training(root: str, task: str) -> list[str]:
  values: dict[str, object] = TINY_OVERRIDES[task] | {
    'data.name': CORPUS,
    'data.data_dir': f'{root}/data',
    'steps': STEPS,
    'log_every': 1,
    'eval_every': SAVE_EVERY,
    'checkpoint_every': SAVE_EVERY,
    'keep': STEPS,
    'optimizer.warmup_steps': 1,
  }
  if task == 'generator':
    values['sync_expert'] = f'{root}/{EXPERT}/checkpoint'
  config = [f'--config={commands.ROOT / "configs" / "quickstart.py"}:{task}']
  config += [f'--config.{name}={value}' for name, value in values.items()]
  return [str(commands.ROOT / 'train.py'), *config, '--workdir=OUTPUT']


def run(line: list[str], bucket: buckets.Bucket) -> float:
  """Runs a command with no copies of what is in the bucket; returns the seconds that it took.

  Raises:
    RuntimeError: it failed, or left something in its working directory, such as files of a directory `gs:`.
  """
  with tempfile.TemporaryDirectory() as temporary:
    directory, begun = Path(temporary), time.monotonic()
    (directory / 'here').mkdir()
    command = Command(line, directory / 'here', directory / STDERR, bucket.for_copies(directory))
    if command.wait():
      raise RuntimeError(f'{line} ended with status {command.returncode}: {(directory / STDERR).read_text()}')
    if strays := list((directory / 'here').iterdir()):
      raise RuntimeError(f'{line} has left {strays[0].name} here')
    return time.monotonic() - begun


# ---- comparing


class Walks(NamedTuple):
  """All that both walks have left.

  Attributes:
    disk: the directory of the local walk.
    copy: a copy of what the other walk has left in the bucket.
    url: of what was copied.
  """

  disk: Path
  copy: Path
  url: str

  def compare(self, output: str) -> tuple[set[str], list[str]]:
    """Compares an output file by file.

    Returns:
      The names of all files, and of those that differ or that one walk alone has left.
    """
    ours, theirs = _seen(self.disk, output, str(self.disk)), _seen(self.copy, output, self.url)
    names = ours.keys() | theirs.keys()
    return names, sorted(name for name in names if ours.get(name) != theirs.get(name))

  def differing_splits(self) -> list[str]:
    """Returns the splits of the built corpus whose records differ; their bytes are in no certain order."""
    differing = []
    for split in SPLITS:
      ours, theirs = (_records(root / 'data', split) for root in (self.disk, self.copy))
      if not (ours and len(ours) == len(theirs) and all(map(_same_record, ours, theirs))):
        differing.append(f'records of {split}')
    return differing

  def differing_steps(self, workdir: str) -> list[str]:
    """Returns the steps of a run whose arrays or places in the data differ, and its frozen expert if that differs.

    Of an expert in a bucket a run copies only what it reads: the weights, not the state to go on from.
    """
    ours, theirs = (root / workdir / 'checkpoint' for root in (self.disk, self.copy))
    steps = range(SAVE_EVERY, STEPS + 1, SAVE_EVERY)
    differing = [f'step {step}' for step in steps if not ((theirs / str(step)).is_dir() and equal(theirs, ours, step))]
    if (ours / pretrained.SYNC_EXPERT).is_dir():
      experts = [pretrained.load_expert(directory / pretrained.SYNC_EXPERT) for directory in (ours, theirs)]
      if len({(expert.step, pretrained.fingerprint_of(expert.variables)) for expert in experts}) > 1:
        differing.append('the frozen expert')
    return differing


def _seen(walk: Path, output: str, root: str) -> dict[str, Any]:
  """Returns what is compared of each file of an output, by its name; `root` is what its texts call the walk."""
  given = walk / output
  paths = [path for path in (given, *given.rglob('*')) if path.is_file()]
  names = [path.relative_to(walk).as_posix() for path in paths]
  names = [name for name in names if not (COMPARED_APART.match(name) or any(map(is_unfinished, name.split('/'))))]
  return {name: _comparable(name, (walk / name).read_bytes(), root.encode()) for name in names}


def _comparable(name: str, content: bytes, root: bytes) -> Any:
  """Returns the content of a file without times and the name of its place."""
  if name.endswith('.safetensors'):
    begin = 8 + int.from_bytes(content[:8], 'little')  # of the values, after a header as JSON
    return json.loads(content[8:begin].replace(root, b'')), content[begin:]
  content = content.replace(root, b'')
  if name.endswith('metrics.jsonl'):
    timed = {goodput.WALL, *PACE}
    lines = map(json.loads, content.splitlines())
    return [{key: line[key] for key in line.keys() - timed} for line in lines if line['kind'] != goodput.TIME]
  return TIMES_OF_REPORT.sub('', content.decode()) if name == OUTPUTS['report'] else content


def _records(data_dir: Path, split: str) -> list[Record]:
  source = corpora.source(CORPUS, split, str(data_dir))
  return [source[k] for k in range(len(source))]


def _same_record(ours: Record, theirs: Record) -> bool:
  return ours.keys() == theirs.keys() and all(np.array_equal(ours[name], theirs[name]) for name in ours)


if __name__ == '__main__':
  define_flags()
  cli.run(main)
