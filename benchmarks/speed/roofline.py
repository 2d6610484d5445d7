"""Roofline by groups of kernels: operations, bytes, minimum time, and measured time.

  python -m benchmarks.speed.roofline --of=generator_training --batch_size=2 --output=roofline.json
  python -m benchmarks.speed.roofline --of=gan_training --batch_size=64 --topology=h200:1

Compiles a training step, or the inference of dubbing, for this machine's device, runs it, and runs it again under JAX's
profiler, whose kernel times are summed by group. Networks have the paper's size and random weights. With --topology it
compiles for GPUs or TPUs that need not be present, and runs nothing; this takes minutes, and needs JAX's CUDA plugin or
libtpu. `lpips_jax/planning/roofline.py` explains what floors mean and what they leave out.

Peaks are from data sheets: those of GPUs and TPUs in bfloat16, in which the networks compute there. The peaks of a CPU
are what a large product, a convolution and a copy reach in this run: other work on the machine lowers them, and groups
may exceed them.

On a CPU Eigen's convolutions return before they are done, and so have no times here. Kernels that run side by side on
its cores count separately, so that their sum may exceed the time of the run. On a GPU kernels are launched one by one,
without CUDA graphs, which would hide their names.
"""

import dataclasses
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from benchmarks import commands
from benchmarks.speed import traces
from benchmarks.speed.generator import Frames
from benchmarks.speed.train_step import Trained, on_devices
from lpips_jax.core import cli
from lpips_jax.planning import environment

if TYPE_CHECKING:  # the environment is set before JAX starts
  from jax.sharding import Mesh

  from lpips_jax.planning.roofline import PeakRates

TRAINING = {
  'sync_expert_training': 'sync_expert',
  'generator_training': 'generator',
  'gan_training': 'generator_gan',
}
NO_GRAPHS = '--xla_gpu_enable_command_buffer='
UNTIMED = {'cpu': ('convolution',)}  # opcodes whose kernels return before they are done
MATRIX_SIDE, CONV_CHANNELS, COPIED_NUMBERS = 1024, 256, 1 << 26  # the last exceeds any cache
PEAK_ROUNDS = 10

Run = Callable[[int], None]  # runs that many times, and returns when all is done


def main() -> None:
  cli.require_flags('of')
  given = flags.FLAGS
  commands.require_directory_of(given.output)
  if given.topology != 'local':
    environment.set_for_absent_devices()
  elif NO_GRAPHS not in os.environ.get('XLA_FLAGS', ''):
    os.environ['XLA_FLAGS'] = f'{os.environ.get("XLA_FLAGS", "")} {NO_GRAPHS}'.strip()

  figures = measure(given.of, given.batch_size, given.topology, given.tiny, given.image_size, given.runs)
  print(table(figures))
  commands.write_figures(given.output, figures)


def measure(of: str, batch_size: int, topology: str, tiny: bool, image_size: int, runs: int) -> dict[str, Any]:
  """Compiles, runs if the device is local, and returns all figures.

  Args:
    of: a key of `TRAINING`, or 'inference'.
    batch_size: clips or windows; of inference, faces.
    topology: 'local', or a topology to compile for.
    tiny: networks of a few channels.
    image_size: of inference, side of the crops in pixels.
    runs: number of measured runs.

  Returns:
    Figures by name, ready for JSON: `rows` by group of kernels, times in seconds.

  Raises:
    UserError: the topology or the data sheet of its chips is unknown, or the batch does not divide among them.
  """
  import jax

  from lpips_jax.planning import hardware, hlo, roofline, topologies

  local = topology == 'local'
  mesh = topologies.mesh_of(topology)
  mesh = one_device(mesh) if local else mesh
  device = mesh.devices.flat[0]
  if batch_size % mesh.devices.size:
    cli.fail(f'--batch_size={batch_size} does not divide among {mesh.devices.size} chips')
  chip = hardware.chip(device.device_kind)
  if chip is None and device.platform != 'cpu':
    cli.fail(f'no data sheet of {device.device_kind} in lpips_jax/planning/hardware.py')
  dtype = 'float32' if device.platform == 'cpu' else 'bfloat16'
  if of in TRAINING:
    compiled, make_run = training(Trained(TRAINING[of], batch_size, tiny), mesh, dtype)
  else:
    compiled, make_run = inference(Frames(image_size, batch_size, tiny), mesh, dtype)
  module = hlo.parse(compiled.as_text())

  wall: float | None = None
  times: dict[str, float] = {}
  if local:
    run = make_run(compiled)
    wall, times = timed(run, runs)
  peak = roofline.PeakRates(chip.flops, chip.bandwidth) if chip else measured_peak()
  rows = roofline.kernel_groups(*module, peak, times, UNTIMED.get(device.platform, ()))
  return {
    'of': of,
    'batch_size': batch_size,
    'tiny': tiny,
    'topology': topology,
    'chips': mesh.devices.size,
    'device_kind': device.device_kind,
    'dtype': dtype,
    'jax': jax.__version__,
    'peak': dataclasses.asdict(peak) | {'from': 'data sheet' if chip else 'measured in this run'},
    'xla_flops': (compiled.cost_analysis() or {}).get('flops'),  # includes elementwise operations
    'seconds': wall,
    'rows': [dataclasses.asdict(row) | {'binds': row.binds, 'share': row.share} for row in rows],
  }


def one_device(mesh: 'Mesh') -> 'Mesh':
  """Returns a mesh of the first device."""
  from jax.sharding import Mesh

  return Mesh(mesh.devices[:1], mesh.axis_names, axis_types=mesh.axis_types)


def training(trained: Trained, mesh: 'Mesh', dtype: str) -> tuple[Any, Callable[[Any], Run]]:
  """Returns the step of train.py, compiled for a mesh, and a function that turns it into a `Run`."""
  import jax

  from benchmarks.random_weights import frozen_networks
  from lpips_jax.planning import programs
  from lpips_jax.training import sharding, step_program

  config = trained.config(dtype)
  frozen = frozen_networks(config, sync_expert=trained.expert_config().model)
  task, shapes = step_program.arguments(config, frozen)
  step, _ = sharding.jitted(task, mesh)

  def make_run(compiled: Any) -> Run:
    state, frozen_variables, batch = on_devices(task, frozen, config, mesh)

    def run(repeats: int) -> None:
      nonlocal state
      for _ in range(repeats):
        state, _ = compiled(state, batch, frozen_variables)
      jax.block_until_ready(state)

    return run

  return programs.compile_lowered(step.lower(*shapes)), make_run


def inference(frames: Frames, mesh: 'Mesh', dtype: str) -> tuple[Any, Callable[[Any], Run]]:
  """Returns the generator of `lpips_jax.dubbing`, compiled, and a function that runs one batch in one thread."""
  from functools import partial

  import jax
  import numpy as np

  from lpips_jax import models
  from lpips_jax.dubbing.generator import made_fast
  from lpips_jax.models.initialise import init_variables
  from lpips_jax.planning import programs
  from lpips_jax.pretrained import Pretrained, folding
  from lpips_jax.training import sharding

  config = frames.config()
  model = models.build(config.model)
  network = made_fast(Pretrained(config, model, init_variables(model, config.model, 0), 0), dtype)
  rng = np.random.default_rng(0)
  inputs = [
    rng.uniform(0, 1, (frames.batch_size, *x.shape[1:])).astype(np.float32) for x in models.example_inputs(config.model)
  ]
  copies, shares = sharding.replicated(mesh), sharding.along_batch(mesh)
  generate = jax.jit(partial(folding.apply, network.model), in_shardings=(copies, shares, shares), out_shardings=shares)

  def make_run(compiled: Any) -> Run:
    placed = jax.device_put(network.variables, copies), *jax.device_put(inputs, shares)

    def run(repeats: int) -> None:
      for _ in range(repeats):
        images = compiled(*placed)
      jax.block_until_ready(images)

    return run

  shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), (network.variables, *inputs))
  return programs.compile_lowered(generate.lower(*shapes)), make_run


def timed(run: Run, runs: int) -> tuple[float, dict[str, float]]:
  """Returns the median seconds of a warm run without the profiler, and kernel seconds by name under the profiler."""
  import jax
  import numpy as np

  run(2)
  seconds = []
  for _ in range(runs):
    begun = time.perf_counter()
    run(1)
    seconds.append(time.perf_counter() - begun)
  options = jax.profiler.ProfileOptions()
  options.python_tracer_level = 0
  with tempfile.TemporaryDirectory() as directory:
    with jax.profiler.trace(directory, profiler_options=options):
      run(runs)
    times = traces.kernel_seconds(Path(directory))
  return float(np.median(seconds)), {name: total / runs for name, total in times.items()}


def measured_peak() -> 'PeakRates':
  """Measures this CPU in float32: the faster of a matrix product and a convolution, and the bandwidth of a copy."""
  import jax
  import jax.numpy as jnp

  from lpips_jax.planning.roofline import PeakRates

  matrix, vector = jnp.ones((MATRIX_SIDE, MATRIX_SIDE)), jnp.ones(COPIED_NUMBERS)
  images, kernel = jnp.ones((4, 34, 34, CONV_CHANNELS)), jnp.ones((3, 3, CONV_CHANNELS, CONV_CHANNELS))
  product = jax.jit(jnp.matmul)
  convolve = jax.jit(
    lambda x, k: jax.lax.conv_general_dilated(x, k, (1, 1), 'VALID', dimension_numbers=('NHWC', 'HWIO', 'NHWC'))
  )
  negate = jax.jit(jnp.negative, donate_argnums=0)  # in place: the system is slow to allocate
  flops, bandwidths = [], []
  for _ in range(PEAK_ROUNDS):
    flops.append(2 * MATRIX_SIDE**3 / _seconds(lambda: product(matrix, matrix)))
    flops.append(2 * 4 * 32 * 32 * kernel.size / _seconds(lambda: convolve(images, kernel)))
    begun = time.perf_counter()
    vector = negate(vector).block_until_ready()
    bandwidths.append(2 * vector.nbytes / (time.perf_counter() - begun))
  return PeakRates(max(flops), max(bandwidths))


def _seconds(compute: Callable[[], Any]) -> float:
  begun = time.perf_counter()
  compute().block_until_ready()
  return time.perf_counter() - begun


def table(figures: dict[str, Any]) -> str:
  """Returns a Markdown table of the groups, longest measured time or floor first."""
  rows = sorted(figures['rows'], key=lambda row: (row['measured'] or 0, row['floor']), reverse=True)
  peak, measured = figures['peak'], figures['seconds'] is not None
  of_chip = ' of each chip' if figures['chips'] > 1 else ''
  lines = [
    f'{figures["of"]}, batch of {figures["batch_size"]}, {figures["dtype"]}, {figures["chips"]} x '
    f'{figures["device_kind"]}; peaks{of_chip}, {peak["from"]}: {peak["flops"] / 1e12:.3g} TFLOP/s, '
    f'{peak["bandwidth"] / 1e9:.4g} GB/s\n',
    '| group | kernels | GFLOP | MB | floor, ms | binds | measured, ms | floor / measured | of the floor seen |',
    '|---|---:|---:|---:|---:|---|---:|---:|---:|',
  ]
  total = {name: sum(row[name] or 0 for row in rows) for name in _SUMMED}
  total['share'] = total['measured_floor'] / total['measured'] if total['measured'] else None
  total |= {'group': 'all', 'binds': 'arithmetic' if total['arithmetic'] > total['floor'] / 2 else 'memory'}
  lines += [_line(row, measured) for row in [*rows, total]]
  if measured:
    wall = figures['seconds']
    lines.append(f'\nOne run takes {1e3 * wall:.4g} ms; the profiler saw kernels of {1e3 * total["measured"]:.4g} ms.')
  return '\n'.join(lines)


_SUMMED = 'kernels', 'flops', 'bytes', 'floor', 'arithmetic', 'measured', 'measured_floor'


def _line(row: dict[str, Any], measured: bool) -> str:
  took = f'{1e3 * row["measured"]:.4g}' if row['measured'] else ''
  share = '' if row['share'] is None else f'{row["share"]:.0%}'
  seen = f'{row["measured_floor"] / row["floor"]:.0%}' if measured and row['floor'] else ''
  cells = [f'{row["kernels"]:,}', f'{row["flops"] / 1e9:.4g}', f'{row["bytes"] / 1e6:.4g}', f'{1e3 * row["floor"]:.4g}']
  return f'| {row["group"]} | {" | ".join(cells)} | {row["binds"]} | {took} | {share} | {seen} |'


def define_flags() -> None:
  flags.DEFINE_enum('of', None, [*TRAINING, 'inference'], 'Program to compile.')
  flags.DEFINE_integer('batch_size', 2, 'Clips or windows (inference: faces) of all chips together.', lower_bound=1)
  flags.DEFINE_integer('image_size', 96, 'inference: side of the crops in pixels.', lower_bound=16)
  flags.register_validator('image_size', lambda size: size % 16 == 0, 'give a multiple of 16')
  flags.DEFINE_string('topology', 'local', "TPUs and their grid, such as v5e:4x4, GPUs, such as h200:1, or 'local'.")
  flags.DEFINE_integer('runs', 3, 'Number of runs without the profiler, and under it.', lower_bound=1)
  flags.DEFINE_boolean('tiny', False, 'Networks of a few channels: to try the command, not to measure.')
  flags.DEFINE_string('output', None, 'JSON file for the figures.')


if __name__ == '__main__':
  define_flags()
  cli.run(main)
