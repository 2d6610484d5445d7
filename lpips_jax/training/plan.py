"""Plans a training step for devices before any is rented: the memory, arithmetic and traffic that it needs.

  python -m lpips_jax.training.plan --config=configs/lrs2.py --topology=v5e:4x4 --batch_per_chip=4 --output=plan.json

Compiles the step that train.py would run, sharded over the topology's chips, on a machine that has none of them. This
takes minutes at full size, and needs the compiler: pip install -e '.[tpu]', or '.[cuda]' for topologies such as h200:8,
GPUs in one machine. Without --topology the step is compiled for the devices of this machine. Nothing is run, and no
weights or data are read. The chip-hours of config.steps are a lower bound, which follows from the least time of a step;
--seconds_per_step, measured, gives those of a real run.
"""

import json
import math
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict, config_flags

from lpips_jax.core import cli
from lpips_jax.core.files import write_whole
from lpips_jax.planning import environment
from lpips_jax.training import paths

config_flags.DEFINE_config_file('config', None, 'Config of the run: a file of configs/.', lock_config=True)
flags.DEFINE_string('topology', 'local', "TPUs and their grid, such as v5e:4x4, GPUs, such as h200:8, or 'local'.")
flags.DEFINE_integer('batch_per_chip', None, 'Sets config.data.batch_size to this many per chip.', lower_bound=1)
flags.DEFINE_boolean('largest', True, 'Finds the largest batch that fits, which takes a second compilation.')
flags.DEFINE_boolean('verify', False, 'Compiles at that batch as well, to see that it fits.')
flags.DEFINE_enum(
  'level', None, ['O0', 'O1', 'O2', 'O3'], 'How much the compiler optimises; by default as for train.py.'
)
flags.DEFINE_float('seconds_per_step', None, 'As measured: adds the chip-hours that follow from it.')
flags.DEFINE_string('output', None, 'Writes the figures there as JSON, too.')
flags.DEFINE_string('hlo', None, 'Writes the optimised program there, as text.')


def main() -> None:
  cli.require_flags('config')
  config, topology = flags.FLAGS.config, flags.FLAGS.topology
  seconds = flags.FLAGS.seconds_per_step
  if seconds is not None and not 0 < seconds < math.inf:
    cli.fail(f'--seconds_per_step={seconds} must be more than 0, and finite')
  for written in (flags.FLAGS.output, flags.FLAGS.hlo):
    if written and not Path(written).parent.is_dir():  # reported now, not after minutes
      cli.fail(f'{written}: there is no such directory')
  if topology != 'local':
    environment.set_for_absent_devices()

  from lpips_jax.planning import estimates, topologies
  from lpips_jax.planning.programs import Program
  from lpips_jax.training import step_program
  from lpips_jax.training.validation import check_config  # here, so that JAX sees that environment

  mesh = topologies.mesh_of(topology)
  if flags.FLAGS.batch_per_chip:
    config.data.batch_size = flags.FLAGS.batch_per_chip * mesh.devices.size
  check_config(config)
  windows = config.data.batch_size // step_program.clips_of_batch(config)
  _check_batch(config.data.batch_size, config.accumulate, windows, mesh.devices.size)

  program = step_program.compile_step(config, mesh, flags.FLAGS.level)
  if flags.FLAGS.hlo:
    write_whole(Path(flags.FLAGS.hlo), program.text)
  parameters, flops = step_program.parameters(config), step_program.count_flops(config)
  figures = estimates.estimate_step(config, mesh, program, parameters, flops)
  figures |= {'topology': topology, 'level': flags.FLAGS.level or 'default'}
  if flags.FLAGS.largest:

    def compile_at(per_chip: int) -> Program:
      other = ConfigDict(config.to_dict())
      other.data.batch_size = per_chip * mesh.devices.size
      return step_program.compile_step(other, mesh, flags.FLAGS.level)

    figures |= estimates.largest_batch(config, mesh, program, compile_at, flags.FLAGS.verify, windows)
  figures |= estimates.cost(figures, config.steps, seconds)
  print(estimates.table(figures))
  if flags.FLAGS.output:
    write_whole(Path(flags.FLAGS.output), json.dumps(figures, indent=2) + '\n')


def _check_batch(batch_size: int, parts: int, windows: int, chips: int) -> None:
  """Raises UserError unless chips get equally many examples of a micro-batch, with all `windows` of a clip on one."""
  multiple = chips * parts * windows
  if batch_size % multiple:
    nearest = -(-batch_size // multiple) * multiple
    in_parts = f' in {parts} parts' if parts > 1 else ''
    together = f', {windows} windows of each clip together' if windows > 1 else ''
    cli.fail(
      f'config.data.batch_size={batch_size} does not divide among {chips} devices{in_parts}{together}: '
      f'give --config.data.batch_size={nearest} or --batch_per_chip={nearest // chips}'
    )


if __name__ == '__main__':
  cli.run(main, remote=paths.FLAGS)
