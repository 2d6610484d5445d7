"""Reads XLA's optimised programs (`compiled.as_text()`): their instructions, and what those move to and from memory."""

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

_COMPUTATION = re.compile(r'(ENTRY )?%?([\w.\-]+) .*\{$')
_INSTRUCTION = re.compile(r'\s+(?:ROOT )?%?([\w.\-]+) = (.*?) ([a-z][a-z0-9\-]*)\((.*)')
_ARRAY = re.compile(r'\b([a-z]+\d+\w*|pred)\[([\d,]*)\](?:\{([^{}]*)\})?')
_TILE = re.compile(r'T\(([\d,]+)\)')
_CALLED = re.compile(r'\b(?:calls|to_apply|body|condition|\w+_computation)=%?([\w.\-]+)')
_BRANCHES = re.compile(r'\bbranch_computations=\{([^}]*)\}')
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_SOURCE = re.compile(r'op_name="([^"]*)"')

_FREE = 'parameter', 'constant', 'tuple', 'get-tuple-element', 'bitcast', 'after-all', 'partition-id', 'opt-barrier'
_RUNS_OTHERS = 'call', 'while', 'conditional', 'async-start'
_SLICES = 'slice', 'dynamic-slice', 'gather'
# fmt: off
_ELEMENTWISE = {
  'abs', 'add', 'and', 'ceil', 'clamp', 'compare', 'convert', 'copy', 'cosine', 'divide', 'exponential',
  'exponential-minus-one', 'floor', 'log', 'log-plus-one', 'logistic', 'maximum', 'minimum', 'multiply', 'negate',
  'not', 'or', 'power', 'rsqrt', 'select', 'sign', 'sine', 'sqrt', 'subtract', 'tanh', 'xor',
}
# fmt: on


@dataclass(frozen=True)
class Instruction:
  """A line of a computation.

  Attributes:
    name: unique in the module.
    opcode: 'add', 'fusion', 'all-reduce-start'.
    shape: text of what it makes: 'f32[2,3]{1,0:T(8,128)}', or a tuple of such.
    operands: the names of what it takes.
    called: the computations that it runs, among them those that say how to reduce.
    rounds: how often it runs them: 1, except loops; None of a loop that does not tell.
    source: JAX's name of the operation, or of one of those, that it was made of; '' if none.
    parameter: of a parameter its number, else None.
    attributes: the text of the rest, such as a convolution's 'window={size=3x3}, dim_labels=b01f_01io->b01f'.
  """

  name: str
  opcode: str
  shape: str
  operands: list[str]
  called: list[str]
  rounds: int | None
  source: str
  parameter: int | None
  attributes: str = ''


Computations = dict[str, list[Instruction]]


def parse(text: str) -> tuple[str, Computations]:
  """Returns the name of the entry, and the instructions of each computation by its name, in their order."""
  entry, current, computations = '', [], {}
  for line in text.splitlines():
    if instruction := _INSTRUCTION.match(line):
      current.append(_instruction(*instruction.groups()))
    elif header := _COMPUTATION.match(line):
      current = computations.setdefault(header[2], [])
      entry = header[2] if header[1] else entry
  return entry, computations


def dimensions(shape: str) -> list[int]:
  """Returns the sizes of the first array of a shape; none of a scalar."""
  return _numbers(_ARRAY.search(shape)[2])


def shape_bytes(shape: str) -> dict[str, int]:
  """Returns the bytes by dtype of the numbers in a shape."""
  sizes = Counter()
  for dtype, dimensions, _ in _ARRAY.findall(shape):
    sizes[dtype] += math.ceil(math.prod(_numbers(dimensions)) * _bits(dtype) / 8)
  return dict(sizes)


def stored_bytes(shape: str, padded: bool = True) -> int:
  """Returns the bytes of a shape as it lies in the device's main memory, with what TPUs pad its tiles by, or without.

  Arrays in other memories, such as the vector memory of a TPU core (`S(1)`), count nothing.
  """
  total = 0
  for dtype, dimensions, layout in _ARRAY.findall(shape):
    if re.search(r'S\([1-9]', layout):
      continue
    sizes = _numbers(dimensions)
    order, _, tiling = layout.partition(':')
    if padded and (tile := _TILE.search(tiling)) and (tiles := _numbers(tile[1])) and len(sizes) >= len(tiles):
      for dimension, multiple in zip(_numbers(order), reversed(tiles), strict=False):  # the fastest comes first
        sizes[dimension] = -(-sizes[dimension] // multiple) * multiple
    total += math.ceil(math.prod(sizes) * _bits(dtype) / 8)
  return total


def memory_traffic(entry: str, computations: Computations, padded: bool = True) -> int:
  """Returns the bytes that one call of a program moves to and from the device's main memory.

  Every instruction reads its operands once and writes its results once. Of what it only slices it reads the slice
  (XLA's own 'bytes accessed' counts all of it), and loops count their rounds, if those are known. What a fusion keeps
  to itself counts nothing. With `padded` tiles move whole. A model of the program, not a measurement.
  """
  return sum(times * size for _, times, size in kernels(entry, computations, padded))


def kernels(entry: str, computations: Computations, padded: bool = True) -> Iterator[tuple[Instruction, int, int]]:
  """Yields what a program runs one after the other: instructions, how often each, and the bytes that once moves.

  Those inside of loops, calls and branches are among them (all branches), those inside of fusions are not.
  """
  stored = {}
  for one in computations.get(entry, ()):
    stored[one.name] = stored_bytes(one.shape, padded)
    if one.opcode in _FREE or one.opcode.endswith('-done'):
      continue
    if one.opcode in _RUNS_OTHERS:
      for called in one.called:
        for inner, times, size in kernels(called, computations, padded):
          yield inner, (one.rounds or 1) * times, size
    else:
      yield one, 1, _moved(one, stored, computations)


def _moved(one: Instruction, stored: dict[str, int], computations: Computations) -> int:
  """The bytes that an instruction reads and writes, `stored` being those of all that came before, and of itself."""
  reads = [stored.get(name, 0) for name in one.operands]
  if one.opcode in _SLICES:
    reads[0] = stored[one.name]
  elif one.opcode == 'dynamic-update-slice':
    return 2 * reads[1]
  elif one.opcode == 'fusion':
    inside = computations[one.called[0]]
    reads = [_read(inside, number, size) for number, size in enumerate(reads)]
  return sum(reads) + (sum(reads) if one.opcode.endswith('-start') else stored[one.name])


def _read(fused: list[Instruction], number: int, size: int) -> int:
  """How much of its operand of that number and size a fusion reads: all, or what is needed for the slices it takes.

  That of what was computed element by element only a slice is taken is the rule in optimisers that work on one long
  vector of all parameters: each parameter's new value is a fusion of its own.
  """
  parameter = next((one.name for one in fused if one.parameter == number), None)
  shapes = {one.name: one.shape for one in fused}
  needed: dict[str, float] = {}  # shares of arrays, from the results back to the operands
  for one in reversed(fused):
    share = needed.get(one.name, 0 if needed else 1)
    for place, name in enumerate(one.operands):
      if one.opcode in _SLICES and place == 0:
        taken = share * math.prod(dimensions(one.shape)) / max(1, math.prod(dimensions(shapes[name])))
      elif one.opcode in ('bitcast', 'tuple') or (one.opcode in _ELEMENTWISE and _alike(one.shape, shapes[name])):
        taken = share
      else:
        taken = 1 if share else 0
      needed[name] = needed.get(name, 0) + taken
  return min(size, round(size * needed.get(parameter, 0)))


def _alike(first: str, second: str) -> bool:
  return dimensions(first) == dimensions(second)


def _instruction(name: str, shape: str, opcode: str, rest: str) -> Instruction:
  operands, _, attributes = rest.partition('), ')
  called = _CALLED.findall(attributes)
  for branches in _BRANCHES.findall(attributes):
    called += re.findall(r'[\w.\-]+', branches)
  trips, source = _TRIPS.search(attributes), _SOURCE.search(attributes)
  rounds = (int(trips[1]) if trips else None) if opcode == 'while' else 1
  names = re.findall(r'%([\w.\-]+)', operands)
  number = int(re.match(r'\d+', rest)[0]) if opcode == 'parameter' else None
  return Instruction(name, opcode, shape, names, called, rounds, source[1] if source else '', number, attributes)


def _numbers(text: str) -> list[int]:
  return [int(n) for n in text.split(',') if n]


def _bits(dtype: str) -> int:
  """Bits of an element: the number in its name, of f32, bf16, s4, f8e4m3fn or c64."""
  return 8 if dtype == 'pred' else int(re.search(r'\d+', dtype)[0])
