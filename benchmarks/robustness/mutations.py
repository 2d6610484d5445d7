"""Mutants of Python source: copies of a module with one small fault each."""

import ast
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

_PAIRS: tuple[tuple[type[ast.cmpop], type[ast.cmpop]], ...] = (
  (ast.Lt, ast.LtE),
  (ast.Gt, ast.GtE),
  (ast.Eq, ast.NotEq),
  (ast.Is, ast.IsNot),
  (ast.In, ast.NotIn),
)
COMPARISONS = dict(_PAIRS) | {other: one for one, other in _PAIRS}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
  ast.Add: ast.Sub,
  ast.Sub: ast.Add,
  ast.Mult: ast.Div,
  ast.Div: ast.Mult,
  ast.FloorDiv: ast.Div,
  ast.Mod: ast.Mult,
  ast.Pow: ast.Mult,
}
COMMUTATIVE = 'max', 'min', 'maximum', 'minimum', 'isclose', 'allclose', 'array_equal', 'gcd', 'multiply'


@dataclass(frozen=True)
class Mutant:
  """A fault: a span of the source and the text that replaces it.

  Attributes:
    line: first line of the span, from 1.
    start: its first byte in that line, from 0.
    last_line: last line of the span.
    end: the byte after the span in its last line.
    kind: the kind of fault, such as 'comparison'.
    before: text of the span.
    after: text that replaces it.
  """

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

  def __str__(self) -> str:
    before, after = (' '.join(text.split()) for text in (self.before, self.after))
    return f'{self.kind}: `{before}` became `{after}`'


def all_mutants(source: str) -> list[Mutant]:
  """Returns every possible mutant of a module, in the order of the source. Text, types and docstrings do not change."""
  tree = ast.parse(source)
  untouched = {id(part) for node in ast.walk(tree) for part in _untouched(node)}
  found: list[Mutant] = []

  def visit(node: ast.AST) -> None:
    if id(node) in untouched:
      return
    found.extend(_mutants_of(node, source))
    for child in ast.iter_child_nodes(node):
      visit(child)

  visit(tree)
  unique = {(m.line, m.start, m.last_line, m.end, m.after): m for m in found if m.before != m.after}
  return [mutant for _, mutant in sorted(unique.items())]


def draw(module: str, source: str, count: int, seed: int) -> list[Mutant]:
  """Returns a random sample of the mutants, the same for the same module name, source, count and seed."""
  found = all_mutants(source)
  sample = random.Random(f'{seed} {module}').sample(found, min(count, len(found)))
  return sorted(sample, key=lambda mutant: (mutant.line, mutant.start))


def _untouched(node: ast.AST) -> list[ast.AST]:
  """The parts of a node that are never changed."""
  if isinstance(node, ast.JoinedStr | ast.Raise | ast.Import | ast.ImportFrom):
    return [node]
  if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
    return [part for part in (node.returns,) if part]
  if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation:
    return [node.annotation]
  if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
    return [node]
  return []


class _Replace(Protocol):
  """Makes a mutant that replaces a node: the one being mutated, unless `target` names a part of it."""

  def __call__(self, kind: str, other: ast.AST | str, target: ast.expr | None = None) -> Mutant: ...


def _mutants_of(node: ast.AST, source: str) -> Iterator[Mutant]:
  """The mutants of one node, without those of its parts."""

  def replace(kind: str, other: ast.AST | str, target: ast.expr | None = None) -> Mutant:
    text = other if isinstance(other, str) else f'({ast.unparse(other)})'
    span = target or node
    assert isinstance(span, ast.expr) and span.end_lineno is not None and span.end_col_offset is not None
    before = ast.get_source_segment(source, span) or ''
    return Mutant(span.lineno, span.col_offset, span.end_lineno, span.end_col_offset, kind, before, text)

  if isinstance(node, ast.Compare):
    for k, operator in enumerate(node.ops):
      if type(operator) in COMPARISONS:
        ops = [*node.ops[:k], COMPARISONS[type(operator)](), *node.ops[k + 1 :]]
        yield replace('comparison', ast.Compare(node.left, ops, node.comparators))
  elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC and not _untouched(node.left):
    yield replace('arithmetic', ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right))
  elif isinstance(node, ast.BoolOp):
    other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    yield replace('condition', ast.BoolOp(other, node.values))
  elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
    yield replace('sign', node.operand)
  elif isinstance(node, ast.If | ast.IfExp | ast.While):
    yield replace('condition', ast.UnaryOp(ast.Not(), node.test), node.test)
  elif isinstance(node, ast.comprehension):
    for test in node.ifs:
      yield replace('condition', ast.UnaryOp(ast.Not(), test), test)
  elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):  # bool is an int
    yield replace('constant', _other_constant(node.value))
  elif isinstance(node, ast.Call):
    yield from _mutants_of_call(node, replace)


def _mutants_of_call(node: ast.Call, replace: _Replace) -> Iterator[Mutant]:
  plain = [not isinstance(argument, ast.Starred) for argument in node.args]
  if plain[:1] == [True]:
    yield replace('call', node.args[0])
  elif isinstance(node.func, ast.Attribute) and not node.args:
    yield replace('call', node.func.value)
  name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, 'id', '')
  if plain[:2] == [True, True] and name not in COMMUTATIVE:
    yield replace('arguments', ast.Call(node.func, [node.args[1], node.args[0], *node.args[2:]], node.keywords))


def _other_constant(value: float) -> str:
  if isinstance(value, bool):
    return str(not value)
  return repr(value + 1) if isinstance(value, int) else repr(2 * value if value else 1.0)
