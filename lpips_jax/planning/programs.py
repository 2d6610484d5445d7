"""Programs compiled for devices that need not be there, and what the compiler tells of them."""

import re
import time
from dataclasses import dataclass
from typing import Any

import jax

from lpips_jax.core.errors import UserError
from lpips_jax.planning import collectives, hlo
from lpips_jax.planning.collectives import Traffic

LEVELS = {'O0': 9, 'O1': 19, 'O2': 29, 'O3': 39}  # XLA's ExecutionOptions.EffortLevel
SMALL = 1 << 20  # bytes: less is statistics and other scalars, more is gradients


@dataclass(frozen=True)
class Program:
  """What the compiler tells of a step; None where it does not tell.

  Attributes:
    seconds: that compiling took.
    memory: bytes on each device: `arguments`, `outputs`, `temporaries`, `aliased` (outputs that take the place of
      arguments), `code` and `peak`.
    flops: on each device, everything that the compiled program does; the body of a loop counted once.
    bytes_accessed: on each device, as XLA counts them: also the bodies of loops once, and whole what is only sliced.
    memory_traffic: bytes to and from the main memory of each device, see `hlo.memory_traffic`.
    padding: how many of those are padding of tiles.
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
  """The compiler finds that the step does not fit the device's memory."""


def compile_program(lowered: jax.stages.Lowered, level: str | None = None) -> Program:
  """Compiles a program and reads what the compiler tells of it.

  Args:
    lowered: of a jitted function.
    level: how much the compiler does, 'O0' to 'O3'; None leaves it to the compiler.

  Raises:
    OutOfMemory: it does not fit.
  """
  started = time.monotonic()
  try:
    compiled = compile_lowered(lowered, _options(level))
  except jax.errors.JaxRuntimeError as error:
    if 'RESOURCE_EXHAUSTED' not in str(error):
      raise
    raise OutOfMemory(_what_is_short(str(error))) from error
  seconds = time.monotonic() - started
  cost, text = compiled.cost_analysis() or {}, compiled.as_text()
  module = hlo.parse(text)
  moved = hlo.memory_traffic(*module)
  return Program(
    seconds,
    _memory(compiled.memory_analysis()),
    cost.get('flops'),
    cost.get('bytes accessed'),
    moved,
    moved - hlo.memory_traffic(*module, padded=False),
    collectives.read(*module, SMALL),
    text,
  )


def compile_lowered(lowered: jax.stages.Lowered, options: dict[str, Any] | None = None) -> jax.stages.Compiled:
  """Compiles, also for GPUs that are not there: XLA then takes products by Triton to be the best that cannot be had."""
  try:
    return lowered.compile(options)
  except jax.errors.JaxRuntimeError as error:
    if 'output tile sizes' not in str(error):
      raise
    return lowered.compile({**(options or {}), 'xla_gpu_enable_triton_gemm': False})


def _options(level: str | None) -> dict[str, int]:
  return {'optimization_level': LEVELS[level]} if level else {}


def _what_is_short(error: str) -> str:
  """Of XLA's pages the one line that counts."""
  used = re.search(r'\(([\d.]+\w)\) exceeds available HBM \(([\d.]+\w)\)', error)
  needs = f'the step needs {used[1]} of the {used[2]} that a chip has' if used else 'the step does not fit the chips'
  return f'{needs}: give a smaller batch (--batch_per_chip), --config.accumulate=2 or --config.remat=True'


def _memory(analysis: Any) -> dict[str, int] | None:
  if analysis is None:
    return None
  names = {'arguments': 'argument', 'outputs': 'output', 'temporaries': 'temp', 'aliased': 'alias'}
  sizes = {name: getattr(analysis, f'{field}_size_in_bytes') for name, field in names.items()}
  sizes['code'] = analysis.generated_code_size_in_bytes
  return sizes | {'peak': sum(sizes.values()) - 2 * sizes['aliased']}
