"""A compiled program by groups of kernels: what each computes and moves, the least time for it, and the time it took.

The least time, or floor, of a kernel is the longer of two: its arithmetic at the device's peak, and the bytes of its
operands and results at the memory's full bandwidth (Williams et al., "Roofline", CACM 2009). Kernels run one after the
other, so that of a group is the sum of its kernels'. Where what one kernel writes is still in a cache when the next
reads it, the floor of memory is no floor: small maps may take less.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lpips_jax.planning import arithmetic, hlo
from lpips_jax.planning.hlo import Computations, Instruction

# What JAX's names of operations say of where they belong; the first that fits. Of transposed operations (gradients) and
# others the names are alike.
REST = 'the rest: inputs, losses, copies'
BATCH_NORM = 'BatchNorm'
OPTIMISER = 'optimiser, moving average'  # and the norm of gradients
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


@dataclass(frozen=True)
class Peak:
  """What a device can do: operations and bytes a second."""

  flops: float
  bandwidth: float


@dataclass
class KernelGroup:
  """A group of kernels, in one run of the program.

  Attributes:
    group: its name.
    kernels: how many run; rounds of loops count each.
    flops: operations, see `arithmetic`.
    bytes: moved to and from memory, see `hlo.memory_traffic`.
    floor: seconds.
    arithmetic: how many of these are of kernels that arithmetic binds; memory binds the others.
    measured: seconds; None if nothing was.
    measured_floor: of the floor what belongs to kernels that were measured.
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
    return 'arithmetic' if self.arithmetic > self.floor / 2 else 'memory'

  @property
  def share(self) -> float | None:
    """Of the time of measured kernels, what their floor is."""
    return self.measured_floor / self.measured if self.measured else None


def rows(
  entry: str,
  computations: Computations,
  peak: Peak,
  measured: Mapping[str, float] | None = None,
  unseen: Sequence[str] = (),
) -> list[KernelGroup]:
  """Returns a program's groups, in the order in which they first run.

  Args:
    entry, computations: of the module, from `hlo.parse`.
    peak: of the device.
    measured: seconds in one run of the program, of all rounds together, by the name of the instruction; names that the
      program has not, and loops as a whole, are passed over.
    unseen: opcodes whose measured time is not to be believed; they count as not measured.
  """
  found, sources, shapes = {}, _sources(computations), {}
  for computation in computations.values():
    shapes |= arithmetic.shapes_of(computation)
  for one, times, size in hlo.kernels(entry, computations):
    operations = arithmetic.flops(one, shapes, computations)
    name = group(sources[one.name], operations > 0)
    row = found.setdefault(name, KernelGroup(name))
    of_arithmetic, of_memory = operations / peak.flops, size / peak.bandwidth
    floor = times * max(of_arithmetic, of_memory)
    row.kernels += times
    row.flops += times * operations
    row.bytes += times * size
    row.floor += floor
    row.arithmetic += floor if of_arithmetic > of_memory else 0
    if measured and one.name in measured and one.opcode not in unseen:
      row.measured = (row.measured or 0) + measured[one.name]
      row.measured_floor += floor
  return list(found.values())


def group(source: str, multiplies: bool = True) -> str:
  """Returns the group of an operation.

  Args:
    source: JAX's name of it.
    multiplies: whether convolutions or products are in it; whatever a compiler calls such a kernel, it is no BatchNorm.
  """
  for pattern, name in _PATTERNS:
    if (match := pattern.search(source)) and not (multiplies and name == BATCH_NORM):
      return match.expand(name)
  return REST


def _sources(computations: Computations) -> dict[str, str]:
  """JAX's names of all instructions: their own, or of those that have none what can be guessed from others.

  A fusion is named after the convolution or product in it. A convolution without a name is the gradient of a kernel,
  and named after the gradient among its operands; a copy is named after what it is made for, or of.
  """
  multiplying = {name: _multiplying(name, computations) for name in computations}
  sources = {}
  for computation in computations.values():
    own = {one.name: _own_source(one, computations, multiplying) for one in computation}
    operands = {one.name: one.operands for one in computation}
    users: dict[str, list[str]] = {}
    for one in computation:
      for operand in one.operands:
        users.setdefault(operand, []).append(one.name)
    for one in computation:
      sources[one.name] = own[one.name]
      if own[one.name] or one.opcode == 'parameter':
        continue
      of_operands = [_nearest(name, own, operands) for name in one.operands]
      of_users = [_nearest(name, own, users) for name in users.get(one.name, ())]
      if one.opcode in _MULTIPLYING or any(multiplying[name] for name in one.called):
        gradients = [source for source in of_operands if 'transpose(' in source]
        guesses = [*of_operands, *gradients][::-1]
      else:
        guesses = [*of_users, *of_operands]
      sources[one.name] = next(filter(None, guesses), '')
  return sources


def _own_source(one: Instruction, computations: Computations, multiplying: Mapping[str, list[Instruction]]) -> str:
  if one.opcode == 'parameter':
    return ''  # it names an argument
  if one.opcode != 'fusion':
    return one.source
  heavy = [part.source for part in multiplying[one.called[0]] if part.source]
  fused = [part.source for part in computations[one.called[0]] if part.source and part.opcode != 'parameter']
  return next(filter(None, [*heavy[:1], one.source, *fused[::-1]]), '')


def _multiplying(name: str, computations: Computations) -> list[Instruction]:
  """What multiplies in a computation, in fusions within it, too."""
  found = []
  for one in computations.get(name, ()):
    if one.opcode in _MULTIPLYING:
      found.append(one)
    elif one.opcode == 'fusion':
      found += _multiplying(one.called[0], computations)
  return found


def _nearest(name: str, own: Mapping[str, str], neighbours: Mapping[str, Sequence[str]], reach: int = 4) -> str:
  """The first source on the way from an instruction, which is looked at, too, over at most so many steps; or ''."""
  front = [name]
  for _ in range(reach):
    if found := next((own[x] for x in front if own.get(x)), ''):
      return found
    front = [y for x in front for y in neighbours.get(x, ())]
  return ''
