"""Mutation testing: puts small faults into the code, one at a time, and counts those that no test notices.

  python -m benchmarks.robustness.mutants --report=docs/mutants.md
  python -m benchmarks.robustness.mutants --modules=lpips_jax/losses.py --per_module=20

Each module of `benchmarks.robustness.mutated` gets a random sample of the faults of `mutations`: another comparison,
another sign, a constant off by one, an omitted call, a negated condition, swapped arguments. The module's tests, listed
there, run on each mutant in a copy of the tree; the tree itself does not change. Outcomes are kept in --output as they
come, so that the same command resumes an interrupted run. A changed module is tested again; changed tests run again
only on the mutants that survived. A survivor may be no fault at all, such as `<=` for `<` of numbers that are never
equal: the report lists every survivor, with the reason where `EXPLAINED` has one, and counts all of them.
"""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from absl import flags

from benchmarks import commands
from benchmarks.commands import ROOT
from benchmarks.robustness.mutated import EXPLAINED, MODULES
from benchmarks.robustness.mutations import Mutant, all_mutants, draw
from lpips_jax.core import cli
from lpips_jax.core.files import write_whole

NOT_COPIED = '.git', '.venv', 'runs', '__pycache__'
HANG_FACTOR, HANG_SECONDS = 3.0, 60.0  # tests hang after this many times their time without a fault, plus so long
OUTCOMES = KILLED, HANGS, SURVIVED = 'killed', 'hangs', 'survived'


def define_flags() -> None:
  flags.DEFINE_list('modules', list(MODULES), 'Modules to mutate.')
  commands.register_choices('modules', list(MODULES))
  flags.DEFINE_integer('per_module', 12, 'Number of mutants of each module.', lower_bound=1)
  flags.DEFINE_integer('seed', 0, 'Seed of the sample.')
  flags.DEFINE_integer('processes', 2, 'Number of mutants tested at once.', lower_bound=1)
  flags.DEFINE_string('output', 'runs/mutants', 'Directory of the outcomes.')
  flags.DEFINE_string('report', None, 'Markdown file for the report.')


def main() -> None:
  given = flags.FLAGS
  modules = {module: MODULES[module] for module in given.modules}
  results = Path(given.output) / 'results.jsonl'
  results.parent.mkdir(parents=True, exist_ok=True)
  found = run(ROOT, modules, given.per_module, given.seed, given.processes, results)
  text = report(ROOT, found, given.seed)
  print(text)
  if given.report:
    write_whole(Path(given.report), text)


def run(
  root: Path, modules: Mapping[str, Sequence[str]], per_module: int, seed: int, processes: int, results: Path
) -> dict[str, dict[Mutant, str]]:
  """Tests every sampled mutant whose outcome `results` does not have yet.

  Args:
    root: the tree, which stays as it is.
    modules: module -> its tests.
    per_module: number of mutants of each module.
    seed: seed of the sample.
    processes: number of mutants tested at once.
    results: file that keeps the outcomes.

  Returns:
    module -> mutant -> outcome.

  Raises:
    UserError: tests fail without a fault.
  """
  known = _read(results)
  found: dict[str, dict[Mutant, str]] = {}
  with contextlib.ExitStack() as stack:
    copies = [stack.enter_context(_copy(root)) for _ in range(processes)]
    threads = stack.enter_context(ThreadPoolExecutor(processes))
    runner = stack.enter_context(_Runner())
    for module, tests in modules.items():
      source = (root / module).read_text()
      of_module, of_both = _digest(root, module), _digest(root, module, *tests)
      mutants = draw(module, source, per_module, seed)
      outcomes = {m: known[digest, m] for digest in (of_both, of_module) for m in mutants if (digest, m) in known}
      todo = [mutant for mutant in mutants if mutant not in outcomes]
      limit = _hang_limit(copies[0], module, tests, runner) if todo else 0.0
      work = _Work(module, tests, source, limit, list(copies), runner)
      for mutant, outcome in zip(todo, threads.map(work.outcome, todo), strict=True):
        digest = of_both if outcome == SURVIVED else of_module  # other tests may kill a survivor
        with results.open('a') as file:  # begins a line, as an interruption may have cut the last one
          file.write('\n' + json.dumps({'state': digest, 'outcome': outcome, 'mutant': asdict(mutant)}))
        outcomes[mutant] = outcome
        print(f'{module}:{mutant.line} {outcome}: {mutant}', flush=True)
      found[module] = {mutant: outcomes[mutant] for mutant in mutants}
  return found


def report(root: Path, found: Mapping[str, Mapping[Mutant, str]], seed: int) -> str:
  """Returns a Markdown table, and a list of all survivors with their lines and changes."""
  counts = {module: [list(outcomes.values()).count(kind) for kind in OUTCOMES] for module, outcomes in found.items()}
  killed, hung, survived = (sum(column) for column in zip(*counts.values(), strict=True))
  lines = [
    '# Mutation testing',
    '',
    f'`python -m benchmarks.robustness.mutants`, seed {seed}: {killed + hung + survived} small faults, one at a time, '
    f"against each module's tests. The tests noticed {killed + hung}, {hung} of them by running more than "
    f'{HANG_FACTOR:g} times as long; {survived} survived. Some survivors are no faults, as the changed numbers make no '
    'difference; they are counted all the same.',
    '',
    '| module | possible | drawn | killed | hung | survived |',
    '|---|---:|---:|---:|---:|---:|',
  ]
  for module, outcomes in found.items():
    possible = len(all_mutants((root / module).read_text()))
    lines.append(f'| {module} | {possible} | {len(outcomes)} | {" | ".join(map(str, counts[module]))} |')
  lines += ['', '## Survivors', '']
  for module, outcomes in found.items():
    source = (root / module).read_text().splitlines()
    for mutant in (mutant for mutant, outcome in outcomes.items() if outcome == SURVIVED):
      why = EXPLAINED.get((source[mutant.line - 1].strip(), str(mutant)), '**not explained**')
      lines.append(f'- `{module}:{mutant.line}` {mutant}: {why}')
  return '\n'.join([*lines, ''])


@contextlib.contextmanager
def _copy(root: Path) -> Iterator[Path]:
  with tempfile.TemporaryDirectory(prefix='mutants-') as directory:
    copy = Path(directory) / 'tree'
    shutil.copytree(root, copy, ignore=shutil.ignore_patterns(*NOT_COPIED), symlinks=True)
    yield copy


class _Runner:
  """Runs tests, each run in a session of its own; leaving the context kills all of them and their descendants."""

  def __init__(self) -> None:
    self._processes: set[subprocess.Popen[bytes]] = set()
    self._ended = False

  def __enter__(self) -> '_Runner':
    return self

  def __exit__(self, *_: object) -> None:
    self._ended = True
    for process in list(self._processes):
      _kill(process)

  def outcome(self, copy: Path, tests: Sequence[str], limit: float | None) -> str:
    """Runs tests in a copy of the tree, for `limit` seconds at most.

    Raises:
      KeyboardInterrupt: the context has been left.
    """
    if self._ended:
      raise KeyboardInterrupt
    command = [sys.executable, '-m', 'pytest', '-x', '-q', '-p', 'no:cacheprovider', *tests]
    environment = os.environ | {
      'PYTHONPATH': str(copy),
      'PYTHONDONTWRITEBYTECODE': '1',
      'JAX_COMPILATION_CACHE_DIR': str(copy.parent / 'programs'),  # programs without the fault compile once
    }
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=copy, env=environment, start_new_session=True, stdout=quiet, stderr=quiet)
    self._processes.add(process)
    try:
      failed = process.wait(limit)
    except subprocess.TimeoutExpired:
      return HANGS
    finally:
      _kill(process)
      self._processes.discard(process)
    if self._ended:
      raise KeyboardInterrupt
    return KILLED if failed else SURVIVED


@dataclass
class _Work:
  """Tests of the mutants of one module.

  Attributes:
    module: its path.
    tests: paths of its tests.
    source: its source without a fault.
    limit: seconds until tests count as hanging.
    free: copies of the tree that no run is using.
    runner: runs the tests.
  """

  module: str
  tests: Sequence[str]
  source: str
  limit: float
  free: list[Path]
  runner: _Runner

  def outcome(self, mutant: Mutant) -> str:
    copy = self.free.pop()
    (copy / self.module).write_text(mutant.put_into(self.source))
    outcome = self.runner.outcome(copy, self.tests, self.limit)
    (copy / self.module).write_text(self.source)
    self.free.append(copy)
    return outcome


def _kill(process: subprocess.Popen[bytes]) -> None:
  with contextlib.suppress(ProcessLookupError):
    os.killpg(process.pid, signal.SIGKILL)
  process.wait()


def _hang_limit(copy: Path, module: str, tests: Sequence[str], runner: _Runner) -> float:
  """Returns the seconds after which tests hang; raises UserError if they fail without a fault."""
  begun = time.monotonic()
  if runner.outcome(copy, tests, None) != SURVIVED:
    cli.fail(f'{" ".join(tests)} fail without any fault in {module}: fix them first')
  return HANG_FACTOR * (time.monotonic() - begun) + HANG_SECONDS


def _digest(root: Path, *paths: str) -> str:
  """Returns twelve hexadecimal digits that change with the content of any of these files."""
  texts = b'\0'.join((root / path).read_bytes() for path in paths)
  return hashlib.sha256(paths[0].encode() + texts).hexdigest()[:12]


def _read(results: Path) -> dict[tuple[str, Mutant], str]:
  known = {}
  for line in results.read_text().splitlines() if results.is_file() else []:
    with contextlib.suppress(ValueError, KeyError, TypeError):  # an interruption may have cut the line
      found = json.loads(line)
      known[found['state'], Mutant(**found['mutant'])] = found['outcome']
  return known


if __name__ == '__main__':
  define_flags()
  cli.run(main)
