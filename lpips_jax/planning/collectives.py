"""The collectives of a compiled program: what it sends between chips, and how many of them wait for each other."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from lpips_jax.planning.hlo import Computations, shape_bytes

COLLECTIVE_KINDS = (
  'all-reduce',
  'reduce-scatter',
  'all-gather',
  'all-to-all',
  'collective-permute',
  'collective-broadcast',
)


@dataclass(frozen=True)
class Collective:
  """An instruction by which chips exchange data.

  Attributes:
    kind: one of `COLLECTIVE_KINDS`.
    bytes: the size of its result on each chip, by dtype on the wire.
    times: how often it runs in one call of the program, with the rounds of the loops around it.
    source: JAX's name of the operation it was compiled from, or of one of several.
  """

  kind: str
  bytes: dict[str, int]
  times: int
  source: str

  @property
  def size(self) -> int:
    """The bytes of one run, all dtypes together."""
    return sum(self.bytes.values())


@dataclass(frozen=True)
class Traffic:
  """All collectives of a program.

  Attributes:
    collectives: in no particular order.
    chain: the greatest number of collectives in one call that must run one after the other, because each needs the
      result of the one before.
    unknown_loops: whether some are in a loop whose number of rounds the compiler does not know; one round was counted.
  """

  collectives: list[Collective]
  chain: int
  unknown_loops: bool


def read(entry: str, computations: Computations, small: int | None = None) -> Traffic:
  """Finds the collectives of an optimised module, including those in fusions, loops and asynchronous computations.

  A start and its done are one collective. All branches of a conditional count.

  Args:
    entry, computations: of the module, from `hlo.parse`.
    small: if given, only collectives of fewer bytes count in `chain`.
  """
  found: list[Collective] = []
  unknown: list[str] = []

  def visit(name: str, times: int) -> int:
    """Collects the collectives of a computation; returns its chain."""
    longest: dict[str, int] = {}
    for instruction in computations.get(name, ()):
      kind, inner = instruction.opcode.removesuffix('-done'), 0
      if kind not in COLLECTIVE_KINDS and instruction.opcode not in ('async-update', 'async-done'):
        inner = max((visit(called, times * (instruction.rounds or 1)) for called in instruction.called), default=0)
      if inner and instruction.rounds is None:
        unknown.append(instruction.name)
      links = inner * (instruction.rounds or 1)
      if kind in COLLECTIVE_KINDS:
        found.append(Collective(kind, shape_bytes(instruction.shape), times, instruction.source))
        links += small is None or found[-1].size < small
      longest[instruction.name] = links + max((longest.get(x, 0) for x in instruction.operands), default=0)
    return max(longest.values(), default=0)

  chain = visit(entry, 1)
  return Traffic(found, chain, bool(unknown))


def totals(collectives: Iterable[Collective]) -> dict[str, tuple[int, int]]:
  """Returns, by kind, how many collectives run in one call, and the bytes of their results on each chip together."""
  runs: Counter[str] = Counter()
  sizes: Counter[str] = Counter()
  for collective in collectives:
    runs[collective.kind] += collective.times
    sizes[collective.kind] += collective.times * collective.size
  return {kind: (runs[kind], sizes[kind]) for kind in COLLECTIVE_KINDS if runs[kind]}


def bytes_by_dtype(collectives: Iterable[Collective]) -> dict[str, int]:
  """Returns the bytes of the collectives' results on each chip in one call, by dtype."""
  sizes: Counter[str] = Counter()
  for collective in collectives:
    for dtype, size in collective.bytes.items():
      sizes[dtype] += collective.times * size
  return dict(sizes)
