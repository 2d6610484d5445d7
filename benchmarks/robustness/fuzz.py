"""Damaged files given to the commands: each must yield a readable output, or one line of error and status 2.

  python -m benchmarks.robustness.fuzz --files=1000 --output=fuzz.json

Damages videos, sounds, pictures, job lists, boxes, checkpoints, safetensors and StableHLO in the ways of
`benchmarks.robustness.damage`, and passes them to infer.py or lpips_jax.interop.convert. The detector is OpenCV's
cascade, the generator a tiny one with random weights. Prints every problem, and keeps its files in --directory.
"""

import collections
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from benchmarks import commands
from benchmarks.commands import ROOT
from benchmarks.robustness.damage import DAMAGES
from benchmarks.robustness.forked import Command
from benchmarks.robustness.fuzz_sources import FACES, JOBS, SOUNDS, make_sources
from lpips_jax import pretrained
from lpips_jax.core import cli
from lpips_jax.core.progress import progress_bar
from lpips_jax.media.containers import decode, open_media
from lpips_jax.media.video_reader import count_frames
from lpips_jax.media.video_writer import CONTAINERS
from lpips_jax.pretrained import checkpoint_dir

MAX_CASE_SECONDS = 60.0
MEDIA_SHARE = 0.5  # share of media among all cases; the other kinds share the rest
SWAPPED_SHARE = 0.1  # share of media cases that swap face and audio instead of damaging one
OUTPUTS = 'out'  # folder within a case's own for what its command writes

Outcome = dict[str, Any]  # name, status, seconds, mib (peak resident) and problem, '' if there is none


@dataclass(frozen=True)
class Case:
  """A command and its damaged input.

  Attributes:
    name: the damaged file and the kind of damage.
    directory: the command's working directory, with all of its inputs.
    line: what follows `python`.
  """

  name: str
  directory: Path
  line: tuple[str, ...]


def define_flags() -> None:
  flags.DEFINE_integer('files', 1000, 'Number of damaged files.', lower_bound=1)
  flags.DEFINE_integer('seed', 0, 'Seed of the choice of files and damage.')
  flags.DEFINE_list('kinds', list(KINDS), 'Kinds of files to damage.')
  flags.DEFINE_string('output', None, 'JSON file for the figures.')
  flags.DEFINE_string('directory', 'fuzz', 'Directory for the files that caused problems.')
  commands.register_choices('kinds', list(KINDS))


def main() -> None:
  given = flags.FLAGS
  with tempfile.TemporaryDirectory() as temporary:
    outcomes = run_cases(Path(temporary), given.files, given.kinds, given.seed, Path(given.directory))
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
  commands.write_figures(given.output, figures)
  if figures['problems']:
    cli.fail(f'{figures["problems"]} files caused problems: they are in {given.directory}')


def run_cases(temporary: Path, count: int, kinds: Sequence[str], seed: int, kept: Path) -> list[Outcome]:
  """Damages files and runs a command on each.

  Args:
    temporary: directory for the sources and the cases.
    count: number of cases.
    kinds: keys of `KINDS` to draw from.
    seed: seed of the draws.
    kept: directory that receives the cases with problems.

  Returns:
    The outcome of each case.
  """
  sources = make_sources(temporary / 'sources')
  _run(_undamaged_case(temporary / 'whole', sources))  # compiles

  def run_one(k: int) -> Outcome:
    case = _make_case(temporary / f'{k:04}', sources, kinds, np.random.default_rng((seed, k)))
    outcome = _run(case)
    if outcome['problem']:
      shutil.copytree(case.directory, kept / case.directory.name, dirs_exist_ok=True)
    shutil.rmtree(case.directory)
    return outcome

  outcomes = []
  with ThreadPoolExecutor(os.cpu_count()) as pool, progress_bar('files', count, 'file') as bar:
    for outcome in pool.map(run_one, range(count)):
      outcomes.append(outcome)
      bar.update()
      if outcome['problem']:
        print(f'{outcome["name"]}: {outcome["problem"]}', flush=True)
  return outcomes


# ---- making cases


def _media(directory: Path, rng: np.random.Generator) -> tuple[Path | None, tuple[str, ...]]:
  """Damages a face or a sound, or swaps the two and damages nothing (None)."""
  face, audio = directory / str(rng.choice(FACES)), directory / f'audio-{rng.choice(SOUNDS)}'
  if rng.random() < SWAPPED_SHARE:
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
  weights = directory / 'safetensors' / checkpoint_dir.SAFETENSORS_FILE
  return weights, ('-m', 'lpips_jax.interop.convert', str(weights.relative_to(directory)), f'{OUTPUTS}/network')


def _stablehlo(directory: Path, rng: np.random.Generator) -> tuple[Path, tuple[str, ...]]:
  """One case in four lacks the flag that trusts the file."""
  line = _dub(directory / FACES[0], directory / f'audio-{SOUNDS[0]}', 'stablehlo')
  return _one_of(directory / 'stablehlo', rng), (*line, *(['--trust_stablehlo'] if rng.random() < 0.75 else []))


# Each draws, in a directory with a copy of all sources, the file to damage and the command to run.
KINDS: dict[str, Callable[[Path, np.random.Generator], tuple[Path | None, tuple[str, ...]]]] = {
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


def _make_case(directory: Path, sources: Path, kinds: Sequence[str], rng: np.random.Generator) -> Case:
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


def _undamaged_case(directory: Path, sources: Path) -> Case:
  shutil.copytree(sources, directory)
  return Case('whole', directory, _dub(directory / FACES[0], directory / f'audio-{SOUNDS[0]}'))


# ---- running them


def _run(case: Case) -> Outcome:
  (case.directory / OUTPUTS).mkdir()
  before = set(case.directory.rglob('*'))
  with tempfile.NamedTemporaryFile('r', errors='replace') as stderr:
    command = Command(case.line, case.directory, Path(stderr.name))
    status, seconds, mib = commands.wait_for(command, MAX_CASE_SECONDS)
    lines = stderr.read().splitlines()
  left = sorted(path for path in set(case.directory.rglob('*')) - before if path.is_file())
  problem = _problem(case, status, lines, left)
  return {'name': case.name, 'status': status, 'seconds': seconds, 'mib': mib, 'problem': problem}


def _problem(case: Case, status: int | None, stderr: Sequence[str], left: Sequence[Path]) -> str:
  """Returns what is wrong with a run, '' if nothing is.

  Args:
    case: the case that ran.
    status: exit status; None if it was killed.
    stderr: lines of its stderr.
    left: files that it wrote.
  """
  jobs = any(argument.startswith('--jobs') for argument in case.line)
  if status is None:
    return f'still running after {MAX_CASE_SECONDS:g} s'
  if status not in (0, 2):
    return f'status {status}: {stderr[-1] if stderr else ""}'
  if any('Traceback' in line for line in stderr) or (status == 2 and not (len(stderr) == 1 or (stderr and jobs))):
    return f'{len(stderr)} lines: {" | ".join(stderr[-3:])}'
  videos = [path for path in left if path.suffix in CONTAINERS]
  others = [path for path in left if path not in videos and not path.name.endswith('.results.csv')]
  network = case.directory / OUTPUTS / 'network'
  if any(network not in path.parents for path in others) or (status == 2 and not jobs and left):
    return f'files left: {" ".join(path.name for path in left)}'
  if status == 0 and not left:
    return 'no output'
  if not all(_plays(video) for video in videos):
    return 'the output does not play'
  if network.is_dir() and not _has_weights(network):
    return 'the network is empty'
  return ''


def _has_weights(network: Path) -> bool:
  loaded = pretrained.load(network)
  return isinstance(loaded, pretrained.Pretrained) and bool(loaded.variables)


def _plays(video: Path) -> bool:
  """Returns True if a video has frames and sound that decode; damaged packets of copied sound are skipped."""
  with open_media(video) as container:
    return bool(count_frames(video)) and any(decode(container, container.streams.audio[0]))


if __name__ == '__main__':
  define_flags()
  cli.run(main)
