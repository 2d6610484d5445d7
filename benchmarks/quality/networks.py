"""Parameters and arithmetic of the networks, counted by XLA.

  python -m benchmarks.quality.networks --output=networks.json

A multiplication and an addition are two operations. Transforms and gates are counted, memory traffic is not.
"""

import jax
from absl import flags
from ml_collections import ConfigDict

from benchmarks import commands
from lpips_jax import models
from lpips_jax.core import cli

NETWORKS: dict[str, dict[str, object]] = {
  'LPIPS-AttnWav2Lip, 96 px': {'name': 'attn_wav2lip', 'image_size': 96},
  'LPIPS-AttnWav2Lip, 128 px': {'name': 'attn_wav2lip', 'image_size': 128},
  'without CBAM': {'name': 'attn_wav2lip', 'image_size': 96, 'attention': False},
  'concatenation for alignment': {'name': 'attn_wav2lip', 'image_size': 96, 'fusion': 'concat'},
  'speech at the bottleneck alone': {'name': 'attn_wav2lip', 'image_size': 96, 'fusion': 'bottleneck'},
  'Wav2Lip baseline': {'name': 'wav2lip', 'image_size': 96},
  'sync expert': {'name': 'sync_expert', 'image_size': 96},
}


def define_flags() -> None:
  flags.DEFINE_string('output', None, 'JSON file for the figures.')


def main() -> None:
  figures = {name: measure(ConfigDict(fields | {'dtype': 'float32'})) for name, fields in NETWORKS.items()}
  print('| network | parameters | GFLOP a frame (sync expert: a window of five) |\n|---|---:|---:|')
  for name, figure in figures.items():
    print(f'| {name} | {figure["parameters"]:,} | {figure["flops"] / 1e9:.2f} |')
  commands.write_figures(flags.FLAGS.output, figures)


def measure(config: ConfigDict) -> dict[str, float]:
  """Returns the `parameters` of a model config, and the `flops` of inference on one example."""
  model, inputs = models.build(config), models.example_inputs(config)
  variables = jax.eval_shape(model.init, jax.random.key(0), *inputs)
  parameters = sum(leaf.size for leaf in jax.tree.leaves(variables['params']))
  cost = jax.jit(model.apply).lower(variables, *inputs).cost_analysis() or {}  # XLA may know no cost
  return {'parameters': parameters, 'flops': cost['flops']}


if __name__ == '__main__':
  define_flags()
  cli.run(main)
