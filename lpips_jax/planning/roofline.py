"""The roofline of a compiled program by groups of kernels: operations, bytes, the least time and the measured time.

The least time, or floor, of a kernel is the longer of two times: its arithmetic at the device's peak rate, and the
bytes of its operands and results at the memory's full bandwidth (Williams et al., "Roofline", CACM 2009). Kernels run
one after the other, so the floor of a group is the sum over its kernels. Where a kernel reads from a cache what the one
before has written, the time for memory is no lower bound: small feature maps may take less.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lpips_jax.planning import arithmetic, hlo
from lpips_jax.planning.hlo import Computations, Instruction

# JAX's names of operations say which part of which network they belong to; the first pattern that fits counts. The
# names of gradients (transposed operations) contain those of the operations that they belong to.
REST = 'the rest: inputs, losses, copies'
BATCH_NORM = 'BatchNorm'
OPTIMISER = 'optimiser, moving average'  # with the norm of the gradients
GROUPS = (
  (r'channel_gate', 'attention, channel gates'),
  (r'spatial_gate', 'attention, spatial gates'),
  (r'fourier_unit', 'alignment, Fourier units'),
  (r'/norm(/|$)', BATCH_NORM),
  (r'/adain_\w+', 'alignment, AdaIN'),
  (r'/(bottleneck|fusion)_\d', 'alignment, convolutions'),
  (r'Generator\b.*/audio_encoder', 'generator, audio encoder'),
  (r'Generator\b.*/stem', 'generator, stem'),
  (r'Generator\b.*/(?:encoder|down)_(\d)', r'generator, encoder \1'),
  (r'Generator\b.*/(?:decoder|up)_(\d)', r'generator, decoder \1'),
  (r'Generator\b', 'generator, head'),
  (r'/face_encoder/(?:down|residual)_(\d)', r'expert, face level \1'),
  (r'/face_encoder/stem', 'expert, face stem'),
  (r'/face_encoder/', 'expert, face head'),
  (r'SyncExpert\b.*/audio_encoder', 'expert, audio encoder'),
  (r'Discriminator\b.*/face_encoder_blocks_(\d)', r'discriminator, level \1'),
  (r'Discriminator\b', 'discriminator, head'),
  (r'\blpips\b.*/conv(\d)_\d', r'VGG, block \1'),
  (r'\blpips\b', 'LPIPS without VGG'),
  (r'/optimizer/|^state\.average|^jit\(step\)/(reduce_sum|square|sqrt)$', OPTIMISER),
)
_PATTERNS = tuple((re.compile(pattern), name) for pattern, name in GROUPS)
_MULTIPLYING = 'convolution', 'dot', 'custom-call', 'fft'
_MAX_STEPS_TO_A_NAME = 4  # over which an instruction without a name takes that of another


@dataclass(frozen=True)
class PeakRates:
  """The greatest rates of a device.

  Attributes:
    flops: operations a second.
    bandwidth: bytes a second to and from its memory.
  """

  flops: float
  bandwidth: float


@dataclass
class KernelGroup:
  """The kernels of one part of the program, in one run of it.

  Attributes:
    group: the name of the part.
    kernels: the number of kernels that run; every round of a loop counts.
    flops: operations, see `arithmetic`.
    bytes: moved to and from memory, see `hlo.memory_traffic`.
    floor: the least time in seconds.
    arithmetic: seconds of the floor in kernels that arithmetic binds; memory binds the others.
    measured: measured seconds; None if no kernel was measured.
    measured_floor: seconds of the floor in kernels that were measured.
  """

  group: str
  kernels: int = 0
  flops: float = 0.0
  bytes: int = 0
  floor: float = 0.0
  arithmetic: float = 0.0
  measured: float | None = None
  measured_floor: float = 0.0

  @property
  def binds(self) -> str:
    """The resource that takes most of the floor."""
    return 'arithmetic' if self.arithmetic > self.floor / 2 else 'memory'

  @property
  def share(self) -> float | None:
    """The floor of the measured kernels as a share of their measured time."""
    return self.measured_floor / self.measured if self.measured else None


def kernel_groups(
  entry: str,
  computations: Computations,
  peak: PeakRates,
  measured: Mapping[str, float] | None = None,
  unmeasurable: Sequence[str] = (),
) -> list[KernelGroup]:
  """Returns a program's groups of kernels, in the order in which they first run.

  Args:
    entry, computations: of the module, from `hlo.parse`.
    peak: of the device.
    measured: seconds in one run of the program, all rounds together, by the name of the instruction; loops as a whole,
      and names that are not in the program, are ignored.
    unmeasurable: opcodes whose measured times are wrong; they count as not measured.
  """
  found: dict[str, KernelGroup] = {}
  shapes: dict[str, str] = {}
  sources = _sources(computations)
  for computation in computations.values():
    shapes |= arithmetic.shapes_of(computation)
  for instruction, times, size in hlo.kernels(entry, computations):
    operations = arithmetic.flops(instruction, shapes, computations)
    name = group_of(sources[instruction.name], operations > 0)
    group = found.setdefault(name, KernelGroup(name))
    arithmetic_seconds, memory_seconds = operations / peak.flops, size / peak.bandwidth
    floor = times * max(arithmetic_seconds, memory_seconds)
    group.kernels += times
    group.flops += times * operations
    group.bytes += times * size
    group.floor += floor
    group.arithmetic += floor if arithmetic_seconds > memory_seconds else 0
    if measured and instruction.name in measured and instruction.opcode not in unmeasurable:
      group.measured = (group.measured or 0) + measured[instruction.name]
      group.measured_floor += floor
  return list(found.values())


def group_of(source: str, multiplies: bool = True) -> str:
  """Returns the name of the group that an operation belongs to.

  Args:
    source: JAX's name of the operation.
    multiplies: whether it contains convolutions or matrix products; such a kernel is never BatchNorm, whatever the
      compiler calls it.
  """
  for pattern, name in _PATTERNS:
    if (match := pattern.search(source)) and not (multiplies and name == BATCH_NORM):
      return match.expand(name)
  return REST


def _sources(computations: Computations) -> dict[str, str]:
  """Returns JAX's names of all instructions, guessed from their neighbours where an instruction has none.

  A fusion takes the name of the convolution or product in it. A convolution without a name is the gradient of a kernel,
  and takes the name of the gradient among its operands; a copy takes the name of its user, or else of its operand.
  """
  multiplying = {name: _multiplying(name, computations) for name in computations}
  sources: dict[str, str] = {}
  for computation in computations.values():
    own = {instruction.name: _own_source(instruction, computations, multiplying) for instruction in computation}
    operands = {instruction.name: instruction.operands for instruction in computation}
    users: dict[str, list[str]] = {}
    for instruction in computation:
      for operand in instruction.operands:
        users.setdefault(operand, []).append(instruction.name)
    for instruction in computation:
      sources[instruction.name] = own[instruction.name]
      if own[instruction.name] or instruction.opcode == 'parameter':
        continue
      of_operands = [_nearest(name, own, operands) for name in instruction.operands]
      of_users = [_nearest(name, own, users) for name in users.get(instruction.name, ())]
      if instruction.opcode in _MULTIPLYING or any(multiplying[name] for name in instruction.called):
        gradients = [source for source in of_operands if 'transpose(' in source]
        guesses = [*of_operands, *gradients][::-1]
      else:
        guesses = [*of_users, *of_operands]
      sources[instruction.name] = next(filter(None, guesses), '')
  return sources


def _own_source(
  instruction: Instruction, computations: Computations, multiplying: Mapping[str, list[Instruction]]
) -> str:
  if instruction.opcode == 'parameter':
    return ''  # its name is that of an argument
  if instruction.opcode != 'fusion':
    return instruction.source
  heavy = [part.source for part in multiplying[instruction.called[0]] if part.source]
  fused = [part.source for part in computations[instruction.called[0]] if part.source and part.opcode != 'parameter']
  return next(filter(None, [*heavy[:1], instruction.source, *fused[::-1]]), '')


def _multiplying(name: str, computations: Computations) -> list[Instruction]:
  """Returns the instructions that multiply in a computation and in the fusions within it."""
  found = []
  for instruction in computations.get(name, ()):
    if instruction.opcode in _MULTIPLYING:
      found.append(instruction)
    elif instruction.opcode == 'fusion':
      found += _multiplying(instruction.called[0], computations)
  return found


def _nearest(name: str, own: Mapping[str, str], neighbours: Mapping[str, Sequence[str]]) -> str:
  """Returns the source of an instruction or of its nearest neighbour that has one; '' if none is near."""
  front = [name]
  for _ in range(_MAX_STEPS_TO_A_NAME):
    if found := next((own[x] for x in front if own.get(x)), ''):
      return found
    front = [y for x in front for y in neighbours.get(x, ())]
  return ''
