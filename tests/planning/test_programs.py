"""Programs are compiled and described, also where the first choice of the compiler cannot be built."""

import jax
import jax.numpy as jnp
import pytest

from lpips_jax.planning import programs


class Refusing:
  """A lowered program whose compilation fails."""

  def __init__(self, message):
    self.message = message

  def compile(self, options):
    raise jax.errors.JaxRuntimeError(self.message)


def test_a_program_is_described_as_its_compiler_reports_it():
  lowered = jax.jit(lambda x, y: jnp.sin(x) @ y).lower(*[jax.ShapeDtypeStruct((16, 16), jnp.float32)] * 2)
  program = programs.compile_program(lowered)
  assert program.flops >= 2 * 16**3 and program.memory_traffic >= 3 * 4 * 16**2 and program.padding == 0
  assert program.memory['arguments'] == 2 * program.memory['outputs'] == 2 * 4 * 16**2
  parts = [program.memory[name] for name in ('arguments', 'outputs', 'temporaries', 'code')]
  assert program.memory['peak'] == sum(parts) - program.memory['aliased']
  assert program.traffic.collectives == [] and 'ENTRY' in program.text and program.seconds > 0


def test_compiled_without_triton_where_that_has_no_product_that_fits():
  asked = []

  class Lowered:
    def compile(self, options):
      asked.append(options)
      if len(asked) == 1:
        raise jax.errors.JaxRuntimeError("INTERNAL: Couldn't find output tile sizes that satisfy hlo: %dot")
      return 'compiled'

  assert programs.compile_lowered(Lowered(), {'optimization_level': 19}) == 'compiled'
  assert asked[1] == {'optimization_level': 19, 'xla_gpu_enable_triton_gemm': False}
  with pytest.raises(jax.errors.JaxRuntimeError, match='other'):
    programs.compile_lowered(Refusing('other'))


def test_what_does_not_fit_is_one_line_with_what_to_do():
  message = 'RESOURCE_EXHAUSTED: Ran out of memory.\nUsed (17.2G) exceeds available HBM (15.7G).\n\nLargest allocations'
  with pytest.raises(programs.OutOfMemory, match=r'^the step needs 17\.2G of the 15\.7G that a chip has: ') as caught:
    programs.compile_program(Refusing(message))
  assert caught.value.as_flags().endswith(
    'give a smaller batch (--batch_per_chip), --config.accumulate=2 or --config.remat=True'
  )
  with pytest.raises(programs.OutOfMemory, match=r'^the step does not fit the chips: '):
    programs.compile_program(Refusing('RESOURCE_EXHAUSTED: out of memory'))
  with pytest.raises(jax.errors.JaxRuntimeError, match='other'):
    programs.compile_program(Refusing('other'))
