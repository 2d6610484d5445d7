"""Parameters and arithmetic of the networks, as XLA counts it.

  python -m benchmarks.networks --output=networks.json

A multiplication and an addition are two operations; transforms and gates are counted, memory traffic is not.
"""

import json
from pathlib import Path

import jax
from absl import flags
from ml_collections import ConfigDict

from lpips_jax import models
from lpips_jax.core import cli
from lpips_jax.core.files import write_whole

flags.DEFINE_string('output', None, 'Writes the figures there as JSON, too.')

NETWORKS = {
  'LPIPS-AttnWav2Lip, 96 px': {'name': 'attn_wav2lip', 'image_size': 96},
  'LPIPS-AttnWav2Lip, 128 px': {'name': 'attn_wav2lip', 'image_size': 128},
  'without CBAM': {'name': 'attn_wav2lip', 'image_size': 96, 'attention': False},
  'concatenation for alignment': {'name': 'attn_wav2lip', 'image_size': 96, 'fusion': 'concat'},
  'speech at the bottleneck alone': {'name': 'attn_wav2lip', 'image_size': 96, 'fusion': 'bottleneck'},
  'Wav2Lip baseline': {'name': 'wav2lip', 'image_size': 96},
  'sync expert': {'name': 'sync_expert', 'image_size': 96},
}


def main() -> None:
  figures = {name: measure(ConfigDict(fields | {'dtype': 'float32'})) for name, fields in NETWORKS.items()}
  print('| network | parameters | GFLOP a frame (sync expert: a window of five) |\n|---|---:|---:|')
  for name, figure in figures.items():
    print(f'| {name} | {figure["parameters"]:,} | {figure["flops"] / 1e9:.2f} |')
  if flags.FLAGS.output:
    write_whole(Path(flags.FLAGS.output), json.dumps(figures, indent=2) + '\n')


def measure(config: ConfigDict) -> dict[str, float]:
  """Returns `parameters` and `flops`, of inference on one example."""
  model, inputs = models.build(config), models.example_inputs(config)
  variables = jax.eval_shape(model.init, jax.random.key(0), *inputs)
  parameters = sum(leaf.size for leaf in jax.tree.leaves(variables['params']))
  return {'parameters': parameters, 'flops': jax.jit(model.apply).lower(variables, *inputs).cost_analysis()['flops']}


if __name__ == '__main__':
  cli.run(main)
