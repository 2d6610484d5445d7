"""Programs compiled for devices that need not be there, and the compiler's account of them."""

import re
import time
from dataclasses import dataclass
from typing import Any

import jax

from lpips_jax.core.errors import UserError
from lpips_jax.planning import collectives, hlo
from lpips_jax.planning.collectives import Traffic

EFFORT_LEVELS = {'O0': 9, 'O1': 19, 'O2': 29, 'O3': 39}  # XLA's ExecutionOptions.EffortLevel
SMALL_COLLECTIVE_BYTES = 1 << 20  # fewer bytes are statistics and other scalars, more are gradients


@dataclass(frozen=True)
class Program:
  """The compiler's account of a program; None for what it does not report.

  Attributes:
    seconds: the time that compiling took.
    memory: bytes on each device: `arguments`, `outputs`, `temporaries`, `aliased` (outputs that take the place of
      arguments), `code` and `peak`.
    flops: operations of the compiled program on each device; the body of a loop counts once.
    bytes_accessed: on each device, as XLA counts them: the body of a loop once, and whole what is only sliced.
    memory_traffic: bytes to and from the main memory of each device, see `hlo.memory_traffic`.
    padding: the bytes among those that are padding of tiles.
    traffic: between devices.
    text: the optimised program.
  """

  seconds: float
  memory: dict[str, int] | None
  flops: float | None
  bytes_accessed: float | None
  memory_traffic: int
  padding: int
  traffic: Traffic
  text: str


class OutOfMemory(UserError):
  """The program does not fit the device's memory."""


def compile_program(lowered: jax.stages.Lowered, level: str | None = None) -> Program:
  """Compiles a program and reads the compiler's account of it.

  Args:
    lowered: from a jitted function.
    level: the compiler's effort, 'O0' to 'O3'; None leaves it to the compiler.

  Raises:
    OutOfMemory: it does not fit.
  """
  started = time.monotonic()
  try:
    compiled = compile_lowered(lowered, {'optimization_level': EFFORT_LEVELS[level]} if level else {})
  except jax.errors.JaxRuntimeError as error:
    if 'RESOURCE_EXHAUSTED' not in str(error):
      raise
    raise _out_of_memory(str(error)) from error
  seconds = time.monotonic() - started
  cost, text = compiled.cost_analysis() or {}, compiled.as_text()
  if text is None:
    raise NotImplementedError('this backend does not show the programs that it compiles')
  module = hlo.parse(text)
  moved = hlo.memory_traffic(*module)
  return Program(
    seconds,
    _memory(compiled.memory_analysis()),
    cost.get('flops'),
    cost.get('bytes accessed'),
    moved,
    moved - hlo.memory_traffic(*module, padded=False),
    collectives.read(*module, SMALL_COLLECTIVE_BYTES),
    text,
  )


def compile_lowered(lowered: jax.stages.Lowered, options: dict[str, Any] | None = None) -> jax.stages.Compiled:
  """Compiles a program, also for absent GPUs, for which XLA may choose a Triton matrix product that it cannot build."""
  try:
    return lowered.compile(options)
  except jax.errors.JaxRuntimeError as error:
    if 'output tile sizes' not in str(error):
      raise
    return lowered.compile({**(options or {}), 'xla_gpu_enable_triton_gemm': False})


def _out_of_memory(error: str) -> OutOfMemory:
  """Returns XLA's pages of allocations as one line that says what to do."""
  used = re.search(r'\(([\d.]+\w)\) exceeds available HBM \(([\d.]+\w)\)', error)
  needs = f'the step needs {used[1]} of the {used[2]} that a chip has' if used else 'the step does not fit the chips'
  return OutOfMemory(
    f'{needs}: give a smaller batch (batch_per_chip), config.accumulate=2 or config.remat=True',
    'batch_per_chip',
    'config.accumulate',
    'config.remat',
  )


def _memory(analysis: Any) -> dict[str, int] | None:
  if analysis is None:
    return None
  names = {'arguments': 'argument', 'outputs': 'output', 'temporaries': 'temp', 'aliased': 'alias'}
  sizes = {name: getattr(analysis, f'{field}_size_in_bytes') for name, field in names.items()}
  sizes['code'] = analysis.generated_code_size_in_bytes
  return sizes | {'peak': sum(sizes.values()) - 2 * sizes['aliased']}
