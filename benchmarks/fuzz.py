"""Damaged files under the commands: each must end with what plays or loads, or with one line and status 2.

  python -m benchmarks.fuzz --files=1000 --output=fuzz.json

Videos, sounds, pictures, lists of jobs, boxes, checkpoints, safetensors and StableHLO are damaged in the ways of
`benchmarks.damage`, and given to infer.py or lpips_jax.interop.convert. The detector is OpenCV's cascade and the
generator a tiny one with random weights. What went wrong is printed, and its files are kept in --directory.
"""

import collections
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from benchmarks.commands import ROOT, waited
from benchmarks.damage import DAMAGES
from benchmarks.forked import Command
from benchmarks.fuzz_sources import FACES, JOBS, SOUNDS, make_sources
from lpips_jax import pretrained
from lpips_jax.core import cli
from lpips_jax.core.files import write_whole
from lpips_jax.core.progress import progress_bar
from lpips_jax.media.containers import decode, open_media
from lpips_jax.media.video_reader import count_frames
from lpips_jax.media.video_writer import CONTAINERS

LONGEST = 60.0  # seconds that a file may take
MEDIA_SHARE = 0.5  # of all files; the other kinds share the rest
OUTPUTS = 'out'  # the folder, within a case's own, of whatever its command writes


@dataclass(frozen=True)
class Case:
  """A command and its damaged input.

  Attributes:
    name: what was damaged, and how.
    directory: has all that the command is given, and is where it runs.
    line: what follows `python`.
  """

  name: str
  directory: Path
  line: tuple[str, ...]


def define_flags() -> None:
  flags.DEFINE_integer('files', 1000, 'How many damaged files there are.', lower_bound=1)
  flags.DEFINE_integer('seed', 0, 'What is damaged, and how.')
  flags.DEFINE_list('kinds', list(KINDS), 'Which kinds of files.')
  flags.DEFINE_string('output', None, 'Writes the figures there as JSON, too.')
  flags.DEFINE_string('directory', 'fuzz', 'Where files that did harm are kept.')
  flags.register_validator('kinds', lambda given: given and set(given) <= set(KINDS), f'choose of {", ".join(KINDS)}')


def main() -> None:
  given = flags.FLAGS
  with tempfile.TemporaryDirectory() as temporary:
    outcomes = tried(Path(temporary), given.files, given.kinds, given.seed, Path(given.directory))
  figures = {
    'files': len(outcomes),
    'taken': sum(outcome['status'] == 0 for outcome in outcomes),
    'refused': sum(outcome['status'] == 2 for outcome in outcomes),
    'problems': sum(bool(outcome['problem']) for outcome in outcomes),
    'kinds': collections.Counter(outcome['name'].partition(':')[0] for outcome in outcomes),
    'longest_seconds': max(outcome['seconds'] for outcome in outcomes),
    'most_resident_mib': max(outcome['mib'] for outcome in outcomes),
  }
  print(json.dumps(figures, indent=2))
  if given.output:
    write_whole(Path(given.output), json.dumps(figures, indent=2) + '\n')
  if figures['problems']:
    cli.fail(f'{figures["problems"]} files did harm: they are in {given.directory}')


def tried(temporary: Path, files: int, kinds: Sequence[str], seed: int, kept: Path) -> list[dict[str, Any]]:
  """Gives damaged files to the commands; returns what came of each, and keeps those that did harm."""
  sources = make_sources(temporary / 'sources')
  _run(_whole(temporary / 'whole', sources))  # compiles

  def outcome(k: int) -> dict[str, Any]:
    case = _case(temporary / f'{k:04}', sources, kinds, np.random.default_rng((seed, k)))
    came = _run(case)
    if came['problem']:
      shutil.copytree(case.directory, kept / case.directory.name, dirs_exist_ok=True)
    shutil.rmtree(case.directory)
    return came

  outcomes = []
  with ThreadPoolExecutor(os.cpu_count()) as pool, progress_bar('files', files, 'file') as bar:
    for came in pool.map(outcome, range(files)):
      outcomes.append(came)
      bar.update()
      if came['problem']:
        print(f'{came["name"]}: {came["problem"]}', flush=True)
  return outcomes


def _media(directory: Path, rng: np.random.Generator) -> tuple[Path | None, tuple[str, ...]]:
  """A face or a sound; or, in one of ten, each is given in the other's place, and nothing is damaged."""
  face, audio = directory / str(rng.choice(FACES)), directory / f'audio-{rng.choice(SOUNDS)}'
  if rng.random() < 0.1:
    return None, _dub(audio, face)
  return (face if rng.random() < 0.6 else audio), _dub(face, audio)


def _jobs(directory: Path, rng: np.random.Generator) -> tuple[Path, tuple[str, ...]]:
  jobs = directory / str(rng.choice(JOBS))
  return jobs, (str(ROOT / 'infer.py'), f'--jobs={jobs.name}', '--checkpoint=checkpoint', '--detector=cascade')


def _boxes(directory: Path, rng: np.random.Generator) -> tuple[Path, tuple[str, ...]]:
  boxes = directory / 'boxes.json'
  return boxes, (*_dub(directory / FACES[0], directory / f'audio-{SOUNDS[0]}'), f'--boxes={boxes.name}')


def _checkpoint(directory: Path, rng: np.random.Generator) -> tuple[Path, tuple[str, ...]]:
  return _one_of(directory / 'checkpoint', rng), _dub(directory / FACES[0], directory / f'audio-{SOUNDS[0]}')


def _safetensors(directory: Path, rng: np.random.Generator) -> tuple[Path, tuple[str, ...]]:
  weights = directory / 'safetensors' / pretrained.SAFETENSORS
  return weights, ('-m', 'lpips_jax.interop.convert', str(weights.relative_to(directory)), f'{OUTPUTS}/network')


def _stablehlo(directory: Path, rng: np.random.Generator) -> tuple[Path, tuple[str, ...]]:
  """In one of four without the flag that trusts it."""
  line = _dub(directory / FACES[0], directory / f'audio-{SOUNDS[0]}', 'stablehlo')
  return _one_of(directory / 'stablehlo', rng), (*line, *(['--trust_stablehlo'] if rng.random() < 0.75 else []))


# Of each kind what chooses, in a directory with a copy of all sources, the file to be damaged and the command.
KINDS = {
  'media': _media,
  'jobs': _jobs,
  'boxes': _boxes,
  'checkpoint': _checkpoint,
  'safetensors': _safetensors,
  'stablehlo': _stablehlo,
}


def _dub(face: Path, audio: Path, checkpoint: str = 'checkpoint') -> tuple[str, ...]:
  files = f'--face={face.name}', f'--audio={audio.name}', f'--output={OUTPUTS}/dubbed.mp4'
  return str(ROOT / 'infer.py'), *files, f'--checkpoint={checkpoint}', '--detector=cascade'


def _one_of(directory: Path, rng: np.random.Generator) -> Path:
  files = sorted(path for path in directory.rglob('*') if path.is_file() and path.stat().st_size)
  return files[rng.integers(len(files))]


def _case(directory: Path, sources: Path, kinds: Sequence[str], rng: np.random.Generator) -> Case:
  shutil.copytree(sources, directory)
  shares = np.array([MEDIA_SHARE if kind == 'media' else (1 - MEDIA_SHARE) / (len(KINDS) - 1) for kind in kinds])
  kind = str(rng.choice(kinds, p=shares / shares.sum()))
  victim, line = KINDS[kind](directory, rng)
  if victim is None:
    return Case(f"{kind}: in each other's place", directory, line)
  damage = str(rng.choice(list(DAMAGES)))
  content = np.frombuffer(victim.read_bytes(), np.uint8).copy()
  victim.write_bytes(DAMAGES[damage](content, rng).tobytes())
  return Case(f'{kind}: {victim.relative_to(directory)}, {damage}', directory, line)


def _whole(directory: Path, sources: Path) -> Case:
  shutil.copytree(sources, directory)
  return Case('whole', directory, _dub(directory / FACES[0], directory / f'audio-{SOUNDS[0]}'))


def _run(case: Case) -> dict[str, Any]:
  """Runs the command, and says what came of it; `problem` is empty where all is as it should be."""
  (case.directory / OUTPUTS).mkdir()
  before = set(case.directory.rglob('*'))
  with tempfile.NamedTemporaryFile('r', errors='replace') as said:
    status, seconds, mib = waited(Command(case.line, case.directory, Path(said.name)), LONGEST)
    lines = said.read().splitlines()
  left = sorted(path for path in set(case.directory.rglob('*')) - before if path.is_file())
  problem = _problem(case, status, lines, left)
  return {'name': case.name, 'status': status, 'seconds': seconds, 'mib': mib, 'problem': problem}


def _problem(case: Case, status: int | None, said: Sequence[str], left: Sequence[Path]) -> str:
  jobs = any(argument.startswith('--jobs') for argument in case.line)
  if status is None:
    return f'still at work after {LONGEST:g} s'
  if status not in (0, 2):
    return f'status {status}: {said[-1] if said else ""}'
  if any('Traceback' in line for line in said) or (status == 2 and not (len(said) == 1 or (said and jobs))):
    return f'{len(said)} lines: {" | ".join(said[-3:])}'
  videos = [path for path in left if path.suffix in CONTAINERS]
  others = [path for path in left if path not in videos and not path.name.endswith('.results.csv')]
  network = case.directory / OUTPUTS / 'network'
  if any(network not in path.parents for path in others) or (status == 2 and not jobs and left):
    return f'files left: {" ".join(path.name for path in left)}'
  if status == 0 and not left:
    return 'nothing came of it'
  if not all(_plays(video) for video in videos):
    return 'the output does not play'
  if network.is_dir() and not pretrained.load(network).variables:
    return 'the network is empty'
  return ''


def _plays(video: Path) -> bool:
  """Returns whether a video has frames and sound that decode; damaged packets of copied sound are passed over."""
  with open_media(video) as container:
    return bool(count_frames(video)) and any(decode(container, container.streams.audio[0]))


if __name__ == '__main__':
  define_flags()
  cli.run(main)
