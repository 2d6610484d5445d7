"""What a compiled program sends between chips, and in how long a chain."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from lpips_jax.planning.hlo import Computations, shape_bytes

KINDS = 'all-reduce', 'reduce-scatter', 'all-gather', 'all-to-all', 'collective-permute', 'collective-broadcast'


@dataclass(frozen=True)
class Collective:
  """One instruction by which chips exchange data.

  Attributes:
    kind: one of `KINDS`.
    bytes: the size of its result on each chip, by dtype on the wire.
    times: how often it runs in one call of the program, that of the loops around it counted.
    source: JAX's name of the operation that it was made of, or of one of them.
  """

  kind: str
  bytes: dict[str, int]
  times: int
  source: str

  @property
  def size(self) -> int:
    """Bytes of one run, all dtypes together."""
    return sum(self.bytes.values())


@dataclass(frozen=True)
class Traffic:
  """All collectives of a program.

  Attributes:
    collectives: in no particular order.
    chain: the most of them that one call has to run one after the other, as each needs what the last made.
    unknown_loops: whether a loop holds some whose number of rounds the compiler does not tell: one was counted.
  """

  collectives: list[Collective]
  chain: int
  unknown_loops: bool


def read(entry: str, computations: Computations, small: int | None = None) -> Traffic:
  """Finds the collectives of an optimised module, in fusions, loops and asynchronous computations, too.

  A start and its done are one. All branches of a conditional count.

  Args:
    entry, computations: of the module, from `hlo.parse`.
    small: with it only collectives of fewer bytes count in `chain`.
  """
  found, unknown = [], []

  def visit(name: str, times: int) -> int:
    """Collects what a computation sends; returns its chain."""
    longest = {}
    for one in computations.get(name, ()):
      kind, inner = one.opcode.removesuffix('-done'), 0
      if kind not in KINDS and one.opcode not in ('async-update', 'async-done'):
        inner = max((visit(called, times * (one.rounds or 1)) for called in one.called), default=0)
      if inner and one.rounds is None:
        unknown.append(one.name)
      links = inner * (one.rounds or 1)
      if kind in KINDS:
        found.append(Collective(kind, shape_bytes(one.shape), times, one.source))
        links += small is None or found[-1].size < small
      longest[one.name] = links + max((longest.get(x, 0) for x in one.operands), default=0)
    return max(longest.values(), default=0)

  chain = visit(entry, 1)
  return Traffic(found, chain, bool(unknown))


def totals(collectives: Iterable[Collective]) -> dict[str, tuple[int, int]]:
  """Returns of each kind how many run in one call, and the bytes of their results on each chip together."""
  runs, sizes = Counter(), Counter()
  for one in collectives:
    runs[one.kind] += one.times
    sizes[one.kind] += one.times * one.size
  return {kind: (runs[kind], sizes[kind]) for kind in KINDS if runs[kind]}


def bytes_by_dtype(collectives: Iterable[Collective]) -> dict[str, int]:
  """Returns the bytes of their results on each chip, by dtype."""
  sizes = Counter()
  for one in collectives:
    for dtype, size in one.bytes.items():
      sizes[dtype] += one.times * size
  return dict(sizes)
