"""Trained networks as jitted functions: `pretrained.load(checkpoint)`.

A checkpoint directory is the part of a training run that evaluation, dubbing and other code use. It holds:

  config.json        the config of the run
  12000/, 14000/, …  one directory for each saved step: `model`, the moving average of the weights, which `load` reads,
                     and in a training run the state and the position in the data, to resume from
  MODEL_CARD.md      where the weights come from, how good they are, and what they are meant for
  sync_expert/       for a generator: the sync expert that it was trained with, itself a checkpoint directory
  silent_generator/  for a generator trained with one: the frozen network that shuts the mouths of its references, in
                     training and ever after; also a checkpoint directory
  lip_reader/, av_expert/  for a generator trained with their losses: copies of those networks

Wherever a checkpoint is asked for, these are accepted: the directory, for its newest step (for a sync expert, a lip
reader or an audio-visual expert its best one); `DIR/12000`, for the step after 12,000 updates; `DIR/best`, for the best
of the kept steps, by ranking for those three and by evaluated loss otherwise; the run that holds the directory as
`checkpoint`; and the URL in a bucket of each of these.
"""

from lpips_jax.core.constants import AV_EXPERT, LIP_READER, SILENT_GENERATOR, SYNC_EXPERT
from lpips_jax.pretrained.checkpoint_dir import (
  CONFIG_FILE,
  find,
  has_steps,
  is_exported,
  read_config,
)
from lpips_jax.pretrained.network import (
  Exported,
  Pretrained,
  fingerprint_of,
  folded,
  load,
  load_expert,
  load_expert_of,
  load_of_task,
  load_silent_generator,
  load_weights,
  save,
  with_winograd,
  without_training_parts,
)

__all__ = [
  'AV_EXPERT',
  'CONFIG_FILE',
  'LIP_READER',
  'SILENT_GENERATOR',
  'SYNC_EXPERT',
  'Exported',
  'Pretrained',
  'find',
  'fingerprint_of',
  'folded',
  'has_steps',
  'is_exported',
  'load',
  'load_expert',
  'load_expert_of',
  'load_of_task',
  'load_silent_generator',
  'load_weights',
  'read_config',
  'save',
  'with_winograd',
  'without_training_parts',
]
