"""XLA's optimised programs (`compiled.as_text()`): their instructions, and the bytes they move to and from memory.

The text is parsed because JAX's own analyses do not answer what a plan asks. `compiled.cost_analysis()` gives sums for
the whole program: the body of a loop counts once however often it runs, an operand counts whole where only a slice of
it is read, and they tell nothing about single kernels, the padding of TPU tiles, or collectives and which of them wait
for each other. `compiled.memory_analysis()` gives the sizes of buffers, but no traffic. Profilers such as XProf need
the device, and a run on it. What the analyses do give, `programs` takes from them: the sums, and the sizes of buffers.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

_COMPUTATION = re.compile(r'(ENTRY )?%?([\w.\-]+) .*\{$')
_INSTRUCTION = re.compile(r'\s+(?:ROOT )?%?([\w.\-]+) = (.*?) ([a-z][a-z0-9\-]*)\((.*)')
_ARRAY = re.compile(r'\b([a-z]+\d+\w*|pred)\[([\d,]*)\](?:\{([^{}]*)\})?')
_TILE = re.compile(r'T\(([\d,]+)\)')
_OTHER_MEMORY = re.compile(r'S\([1-9]')  # such as the vector memory of a TPU core
_CALLED = re.compile(r'\b(?:calls|to_apply|body|condition|\w+_computation)=%?([\w.\-]+)')
_BRANCHES = re.compile(r'\bbranch_computations=\{([^}]*)\}')
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_SOURCE = re.compile(r'op_name="([^"]*)"')
_NUMBER = re.compile(r'\d+')

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
    opcode: such as 'add', 'fusion', 'all-reduce-start'.
    shape: the text of its result's shape, 'f32[2,3]{1,0:T(8,128)}', or of a tuple of such.
    operands: the names of its operands.
    called: the computations that it runs, among them those that say how to reduce.
    rounds: how often it runs them: 1, except for loops; None for a loop whose number of rounds is not known.
    source: JAX's name of the operation it was compiled from, or of one of several; '' if none.
    parameter: a parameter's number, else None.
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
  """Returns the name of the entry computation, and the instructions of each computation by its name, in order."""
  entry = ''
  current: list[Instruction] = []
  computations: Computations = {}
  for line in text.splitlines():
    if instruction := _INSTRUCTION.match(line):
      current.append(_instruction(*instruction.groups()))
    elif header := _COMPUTATION.match(line):
      current = computations.setdefault(header[2], [])
      entry = header[2] if header[1] else entry
  return entry, computations


def dimensions(shape: str) -> list[int]:
  """Returns the sizes of the first array of a shape, an empty list for a scalar."""
  return _numbers(matched(_ARRAY, shape)[2])


def shape_bytes(shape: str) -> dict[str, int]:
  """Returns the bytes of a shape's numbers, by dtype."""
  sizes: Counter[str] = Counter()
  for dtype, dimensions, _ in _ARRAY.findall(shape):
    sizes[dtype] += math.ceil(math.prod(_numbers(dimensions)) * _bits(dtype) / 8)
  return dict(sizes)


def stored_bytes(shape: str, padded: bool = True) -> int:
  """Returns the bytes that a shape takes in the device's main memory.

  Arrays in other memories, such as the vector memory of a TPU core (`S(1)`), count nothing.

  Args:
    shape: of an instruction.
    padded: whether to count what TPUs pad tiles with.
  """
  total = 0
  for dtype, dimensions, layout in _ARRAY.findall(shape):
    if _OTHER_MEMORY.search(layout):
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

  This is a model of the program, not a measurement. Every instruction reads its operands once and writes its results
  once. An operand that is only sliced counts as its slice (in XLA's own 'bytes accessed' it counts whole), and a loop
  counts all its rounds, if their number is known. Values that stay inside a fusion count nothing.

  Args:
    entry, computations: of the module, from `parse`.
    padded: whether tiles move whole, with their padding.
  """
  return sum(times * size for _, times, size in kernels(entry, computations, padded))


def kernels(entry: str, computations: Computations, padded: bool = True) -> Iterator[tuple[Instruction, int, int]]:
  """Yields the instructions that a program runs one after the other, how often each runs, and the bytes of one run.

  Instructions inside loops, calls and all branches are among them; those inside fusions are not.
  """
  stored: dict[str, int] = {}
  for instruction in computations.get(entry, ()):
    stored[instruction.name] = stored_bytes(instruction.shape, padded)
    if instruction.opcode in _FREE or instruction.opcode.endswith('-done'):
      continue
    if instruction.opcode in _RUNS_OTHERS:
      for called in instruction.called:
        for inner, times, size in kernels(called, computations, padded):
          yield inner, (instruction.rounds or 1) * times, size
    else:
      yield instruction, 1, _moved_bytes(instruction, stored, computations)


def matched(pattern: re.Pattern[str], text: str) -> re.Match[str]:
  """Returns the first match of a pattern that XLA's text always has; raises ValueError if it is missing."""
  match = pattern.search(text)
  if match is None:
    raise ValueError(f'no {pattern.pattern} in {text!r}')
  return match


def _moved_bytes(instruction: Instruction, stored: dict[str, int], computations: Computations) -> int:
  """Returns the bytes that an instruction reads and writes.

  Args:
    instruction: the instruction.
    stored: the bytes of its own result, and of the results of all instructions before it, by name.
    computations: of the module.
  """
  reads = [stored.get(name, 0) for name in instruction.operands]
  if instruction.opcode in _SLICES:
    reads[0] = stored[instruction.name]
  elif instruction.opcode == 'dynamic-update-slice':
    return 2 * reads[1]
  elif instruction.opcode == 'fusion':
    inside = computations[instruction.called[0]]
    reads = [_read_bytes(inside, number, size) for number, size in enumerate(reads)]
  return sum(reads) + (sum(reads) if instruction.opcode.endswith('-start') else stored[instruction.name])


def _read_bytes(fused: list[Instruction], number: int, size: int) -> int:
  """Returns how much a fusion reads of its operand of that number and size: all of it, or what its slices need.

  Optimisers that work on one long vector of all parameters take slices of what was computed element by element: each
  parameter's new value is a fusion of its own.
  """
  parameter = next((inner.name for inner in fused if inner.parameter == number), '')
  shapes = {inner.name: inner.shape for inner in fused}
  needed: dict[str, float] = {}  # shares of arrays, from the results back to the operands
  for inner in reversed(fused):
    share = needed.get(inner.name, 0 if needed else 1)
    for place, name in enumerate(inner.operands):
      if inner.opcode in _SLICES and place == 0:
        taken = share * math.prod(dimensions(inner.shape)) / max(1, math.prod(dimensions(shapes[name])))
      elif inner.opcode in ('bitcast', 'tuple') or (inner.opcode in _ELEMENTWISE and _alike(inner.shape, shapes[name])):
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
  number = int(matched(_NUMBER, rest)[0]) if opcode == 'parameter' else None
  return Instruction(name, opcode, shape, names, called, rounds, source[1] if source else '', number, attributes)


def _numbers(text: str) -> list[int]:
  return [int(n) for n in text.split(',') if n]


def _bits(dtype: str) -> int:
  """Returns the bits of an element, the number in the dtype's name: f32, bf16, s4, f8e4m3fn or c64."""
  return 8 if dtype == 'pred' else int(matched(_NUMBER, dtype)[0])
