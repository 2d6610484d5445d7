"""Small faults put into the code, one at a time: does a test notice?

  python -m benchmarks.mutants --report=docs/mutants.md
  python -m benchmarks.mutants --modules=lpips_jax/losses.py --per_module=20

Each module of `benchmarks.mutated` gets a drawn share of all faults that `candidates` knows: another comparison,
another sign, a constant off by one, a call that is left out, a condition the other way round, two arguments in each
other's place. Its own tests, given there, run on each in copies of the tree: nothing is changed here. What was found is
kept in --output as it comes, so that the same command goes on where it was cut short; where a module has changed, all
is found anew, and where its tests have, what survived. A survivor may be no fault at all, such as `<=` for `<` of
numbers that are never equal: the report lists all of them, with the reason where `EXPLAINED` has one, and leaves none
out of the count.
"""

import ast
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from absl import flags

from benchmarks.mutated import EXPLAINED, MODULES
from lpips_jax.core import cli
from lpips_jax.core.files import write_whole

ROOT = Path(__file__).parents[1]
LEFT_OUT = '.git', '.venv', 'runs', '__pycache__'  # of the copies
PAIRS = (ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Eq, ast.NotEq), (ast.Is, ast.IsNot), (ast.In, ast.NotIn)
COMPARISONS = dict(PAIRS) | {other: one for one, other in PAIRS}
ARITHMETIC = {
  ast.Add: ast.Sub,
  ast.Sub: ast.Add,
  ast.Mult: ast.Div,
  ast.Div: ast.Mult,
  ast.FloorDiv: ast.Div,
  ast.Mod: ast.Mult,
  ast.Pow: ast.Mult,
}
COMMUTATIVE = 'max', 'min', 'maximum', 'minimum', 'isclose', 'allclose', 'array_equal', 'gcd', 'multiply'
SLACK = 3.0, 60.0  # times as long as without a fault, and seconds more, until tests count as hanging
KILLED, HANGS, SURVIVED = 'killed', 'hangs', 'survived'


@dataclass(frozen=True)
class Mutant:
  """A fault: what stands in a line, from one byte of it to another of a later one, and what takes its place."""

  line: int
  start: int
  last_line: int
  end: int
  kind: str
  before: str
  after: str

  def put_into(self, source: str) -> str:
    """Returns the source with the fault."""
    lines = source.encode().splitlines(keepends=True)
    head = b''.join(lines[: self.line - 1]) + lines[self.line - 1][: self.start]
    tail = lines[self.last_line - 1][self.end :] + b''.join(lines[self.last_line :])
    return (head + self.after.encode() + tail).decode()


def define_flags() -> None:
  flags.DEFINE_list('modules', list(MODULES), 'Which modules.')
  flags.DEFINE_integer('per_module', 12, 'How many faults are drawn for each.', lower_bound=1)
  flags.DEFINE_integer('seed', 0, 'Which are drawn.')
  flags.DEFINE_integer('processes', 2, 'How many tests run at once.', lower_bound=1)
  flags.DEFINE_string('output', 'runs/mutants', 'What was found is kept there.')
  flags.DEFINE_string('report', None, 'Writes the table there, as Markdown.')


def main() -> None:
  given = flags.FLAGS
  unknown = [module for module in given.modules if module not in MODULES]
  if unknown:
    cli.fail(f'--modules: {unknown[0]} is not in benchmarks/mutated.py, with the tests that concern it')
  here = {module: tests for module in given.modules if (tests := _present(ROOT, module))}
  results = Path(given.output) / 'results.jsonl'
  results.parent.mkdir(parents=True, exist_ok=True)
  found = run(ROOT, here, given.per_module, given.seed, given.processes, results)
  text = report(ROOT, found, given.seed)
  print(text)
  if given.report:
    write_whole(Path(given.report), text)


def candidates(source: str) -> list[Mutant]:
  """Returns all faults that can be put into a module, by their place. Text, types and docstrings are left alone."""
  tree = ast.parse(source)
  passed_over = {id(part) for node in ast.walk(tree) for part in _passed_over(node)}
  found = []

  def visit(node: ast.AST) -> None:
    if id(node) in passed_over:
      return
    found.extend(_faults(node, source))
    for child in ast.iter_child_nodes(node):
      visit(child)

  visit(tree)
  unique = {(m.line, m.start, m.last_line, m.end, m.after): m for m in found if m.before != m.after}
  return [mutant for _, mutant in sorted(unique.items())]


def drawn(module: str, source: str, count: int, seed: int) -> list[Mutant]:
  """Returns some of the faults, the same ones for the same source and seed."""
  found = candidates(source)
  return sorted(
    random.Random(f'{seed} {module}').sample(found, min(count, len(found))), key=lambda m: (m.line, m.start)
  )


def run(
  root: Path, modules: dict[str, Sequence[str]], per_module: int, seed: int, processes: int, results: Path
) -> dict[str, dict[Mutant, str]]:
  """Tests every drawn fault that `results` does not know yet.

  Args:
    root: the tree, which stays as it is.
    modules: of each the tests that concern it.
    per_module: how many faults are drawn for each.
    seed: which.
    processes: how many at once.
    results: the file that keeps what was found.

  Returns:
    Of each module what became of its faults.

  Raises:
    UserError: tests fail without a fault, too.
  """
  known = _read(results)
  found: dict[str, dict[Mutant, str]] = {}
  with contextlib.ExitStack() as stack:
    copies = [stack.enter_context(_copy(root)) for _ in range(processes)]
    threads = stack.enter_context(ThreadPoolExecutor(processes))
    running = stack.enter_context(_Running())
    for module, tests in modules.items():
      source = (root / module).read_text()
      before, after = _digest(root, module), _digest(root, module, *tests)
      mutants = drawn(module, source, per_module, seed)
      outcomes = {m: known[state, m] for state in (after, before) for m in mutants if (state, m) in known}
      todo = [mutant for mutant in mutants if mutant not in outcomes]
      limit = _limit(copies[0], module, tests, running) if todo else 0.0
      work = _Work(module, tests, source, limit, list(copies), running)
      for mutant, outcome in zip(todo, threads.map(work.outcome, todo), strict=True):
        with results.open('a') as file:  # whose last line may have been cut short
          state = after if outcome == SURVIVED else before  # what was noticed once is noticed by more tests, too
          file.write('\n' + json.dumps({'state': state, 'outcome': outcome, 'mutant': asdict(mutant)}))
        outcomes[mutant] = outcome
        print(f'{module}:{mutant.line} {outcome}: {_change(mutant)}', flush=True)
      found[module] = {mutant: outcomes[mutant] for mutant in mutants}
  return found


def report(root: Path, found: dict[str, dict[Mutant, str]], seed: int) -> str:
  """Returns the table as Markdown, and every survivor with its line and what stands there instead."""
  total = [sum(outcome == which for module in found.values() for outcome in module.values()) for which in _OUTCOMES]
  lines = [
    '# Faults that tests notice, and those that they do not',
    '',
    f'`python -m benchmarks.mutants`, seed {seed}: {sum(total)} small faults, one at a time, against the tests that '
    f'concern each module. {total[0] + total[1]} were noticed, {total[1]} of them because the tests went on for more '
    f'than {SLACK[0]:g} times as long; {total[2]} survived. Some survivors are no faults, as the numbers in question '
    'make no difference; they are counted all the same.',
    '',
    '| module | possible | drawn | killed | hung | survived |',
    '|---|---:|---:|---:|---:|---:|',
  ]
  for module, outcomes in found.items():
    counts = [sum(outcome == which for outcome in outcomes.values()) for which in _OUTCOMES]
    possible = len(candidates((root / module).read_text()))
    lines.append(f'| {module} | {possible} | {len(outcomes)} | {" | ".join(map(str, counts))} |')
  lines += ['', '## Survivors', '']
  for module, outcomes in found.items():
    source = (root / module).read_text().splitlines()
    for mutant in (mutant for mutant, outcome in outcomes.items() if outcome == SURVIVED):
      changed = source[mutant.line - 1].strip()
      why = EXPLAINED.get((changed, _change(mutant)), '**not explained**')
      lines.append(f'- `{module}:{mutant.line}` {_change(mutant)}: {why}')
  return '\n'.join([*lines, ''])


_OUTCOMES = KILLED, HANGS, SURVIVED


def _present(root: Path, module: str) -> tuple[str, ...]:
  """The tests of a module that are there; none where the module is not, which is told."""
  tests = tuple(test for test in MODULES[module] if (root / test).is_file())
  if not (root / module).is_file() or not tests:
    print(f'{module} is left out: it is not here, or has no tests here', flush=True)
    return ()
  return tests


def _passed_over(node: ast.AST) -> list[ast.AST]:
  """The parts of a node in which nothing is changed."""
  if isinstance(node, ast.JoinedStr | ast.Raise | ast.Import | ast.ImportFrom):
    return [node]
  if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
    return [part for part in (node.returns,) if part]
  if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation:
    return [node.annotation]
  if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
    return [node]
  return []


def _faults(node: ast.AST, source: str) -> Iterator[Mutant]:
  """The faults of one node, without those of its parts."""

  def instead(kind: str, other: ast.AST | str, of: ast.AST = node) -> Mutant:
    text = other if isinstance(other, str) else f'({ast.unparse(other)})'
    before = ast.get_source_segment(source, of)
    return Mutant(of.lineno, of.col_offset, of.end_lineno, of.end_col_offset, kind, before, text)

  if isinstance(node, ast.Compare):
    for k, operator in enumerate(node.ops):
      if type(operator) in COMPARISONS:
        ops = [*node.ops[:k], COMPARISONS[type(operator)](), *node.ops[k + 1 :]]
        yield instead('comparison', ast.Compare(node.left, ops, node.comparators))
  elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC and not _passed_over(node.left):
    yield instead('arithmetic', ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right))
  elif isinstance(node, ast.BoolOp):
    other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    yield instead('condition', ast.BoolOp(other, node.values))
  elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
    yield instead('sign', node.operand)
  elif isinstance(node, ast.If | ast.IfExp | ast.While):
    yield instead('condition', ast.UnaryOp(ast.Not(), node.test), node.test)
  elif isinstance(node, ast.comprehension):
    for test in node.ifs:
      yield instead('condition', ast.UnaryOp(ast.Not(), test), test)
  elif isinstance(node, ast.Constant) and type(node.value) in (int, float, bool):
    yield instead('constant', _other_constant(node.value))
  elif isinstance(node, ast.Call):
    yield from _of_call(node, instead)


def _of_call(node: ast.Call, instead: Callable[[str, ast.AST], Mutant]) -> Iterator[Mutant]:
  plain = [not isinstance(argument, ast.Starred) for argument in node.args]
  if plain[:1] == [True]:
    yield instead('call', node.args[0])
  elif isinstance(node.func, ast.Attribute) and not node.args:
    yield instead('call', node.func.value)
  name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, 'id', '')
  if plain[:2] == [True, True] and name not in COMMUTATIVE:
    yield instead('arguments', ast.Call(node.func, [node.args[1], node.args[0], *node.args[2:]], node.keywords))


def _other_constant(value: float) -> str:
  if isinstance(value, bool):
    return str(not value)
  return repr(value + 1) if isinstance(value, int) else repr(2 * value if value else 1.0)


@contextlib.contextmanager
def _copy(root: Path) -> Iterator[Path]:
  with tempfile.TemporaryDirectory(prefix='mutants-') as directory:
    copy = Path(directory) / 'tree'
    shutil.copytree(root, copy, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
    yield copy


@dataclass
class _Work:
  """A module, its tests, how long they may take, and the copies of the tree that are free."""

  module: str
  tests: Sequence[str]
  source: str
  limit: float
  free: list[Path]
  running: '_Running'

  def outcome(self, mutant: Mutant) -> str:
    copy = self.free.pop()
    (copy / self.module).write_text(mutant.put_into(self.source))
    outcome = self.running.outcome(copy, self.tests, self.limit)
    (copy / self.module).write_text(self.source)
    self.free.append(copy)
    return outcome


class _Running:
  """Tests that run, each in a session of its own; leaving the context ends them, with all that they have started."""

  def __init__(self) -> None:
    self._processes: set[subprocess.Popen] = set()
    self._ended = False

  def __enter__(self) -> '_Running':
    return self

  def __exit__(self, *_: object) -> None:
    self._ended = True
    for process in list(self._processes):
      _end(process)

  def outcome(self, copy: Path, tests: Sequence[str], limit: float | None) -> str:
    """Runs tests in a copy; raises KeyboardInterrupt once the context is left."""
    if self._ended:
      raise KeyboardInterrupt
    command = [sys.executable, '-m', 'pytest', '-x', '-q', '-p', 'no:cacheprovider', *tests]
    environment = os.environ | {
      'PYTHONPATH': str(copy),
      'PYTHONDONTWRITEBYTECODE': '1',
      'JAX_COMPILATION_CACHE_DIR': str(copy.parent / 'programs'),  # what a fault leaves as it was is compiled once
    }
    nowhere = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=copy, env=environment, start_new_session=True, **nowhere)
    self._processes.add(process)
    try:
      failed = process.wait(limit)
    except subprocess.TimeoutExpired:
      return HANGS
    finally:
      _end(process)
      self._processes.discard(process)
    if self._ended:
      raise KeyboardInterrupt
    return KILLED if failed else SURVIVED


def _end(process: subprocess.Popen) -> None:
  with contextlib.suppress(ProcessLookupError):
    os.killpg(process.pid, signal.SIGKILL)
  process.wait()


def _limit(copy: Path, module: str, tests: Sequence[str], running: _Running) -> float:
  """Seconds after which tests hang; raises UserError where they fail without a fault."""
  begun = time.monotonic()
  if running.outcome(copy, tests, None) != SURVIVED:
    cli.fail(f'{" ".join(tests)} fail without any fault in {module}: mend them first')
  return SLACK[0] * (time.monotonic() - begun) + SLACK[1]


def _digest(root: Path, *paths: str) -> str:
  """Twelve digits that change with any of these files."""
  texts = b'\0'.join((root / path).read_bytes() for path in paths)
  return hashlib.sha256(paths[0].encode() + texts).hexdigest()[:12]


def _read(results: Path) -> dict[tuple[str, Mutant], str]:
  known = {}
  for line in results.read_text().splitlines() if results.is_file() else []:
    with contextlib.suppress(ValueError, KeyError, TypeError):  # cut short
      found = json.loads(line)
      known[found['state'], Mutant(**found['mutant'])] = found['outcome']
  return known


def _change(mutant: Mutant) -> str:
  before, after = (' '.join(text.split()) for text in (mutant.before, mutant.after))
  return f'{mutant.kind}: `{before}` became `{after}`'


if __name__ == '__main__':
  define_flags()
  cli.run(main)
