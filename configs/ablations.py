"""Ablations: the method with one part changed, and the Wav2Lip baseline under the same losses.

  python train.py --config=configs/ablations.py:without_alignment --workdir=runs/without_alignment \
    --config.data.data_dir=DIR --config.sync_expert=runs/lrs2_sync_expert/checkpoint

trains on LRS2; with `quickstart/` before the name on the embedded corpus, at its small size, where
benchmarks/quality/ablations.py compares them.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import lrs2_gan, quickstart

CHANGES: dict[str, dict[str, Any]] = {
  'full': {},  # all four losses
  'without_adversary': {'losses.adversarial': 0.0},
  'without_sync': {'losses.sync': 0.0},
  'without_perceptual': {'losses.perceptual': 0.0},
  'without_attention': {'model.attention': False},
  'without_alignment': {'model.fusion': 'concat'},  # speech is concatenated in the same places
  'bottleneck': {'model.fusion': 'bottleneck'},  # speech is concatenated at the bottleneck alone
  'wav2lip': {'model': {'name': 'wav2lip', 'image_size': 96, 'dtype': 'float32'}},
}


def get_config(name: str = 'full') -> ConfigDict:
  corpus, _, change = name.rpartition('/')
  if corpus not in ('', 'quickstart') or change not in CHANGES:
    raise ValueError(f'ablations.py:{name} is none of {", ".join(CHANGES)}, alone or after quickstart/')
  config = _quickstart_gan() if corpus else lrs2_gan.get_config()
  changes = dict(CHANGES[change])
  if 'model' in changes:
    config.model = ConfigDict(changes.pop('model'))
    config.audio_encoder_from_expert = False  # its speech encoder has other widths
  config.update_from_flattened_dict(changes)
  return config


def _quickstart_gan() -> ConfigDict:
  config = quickstart.get_config('generator')
  config.losses.sync_gate = 10.0  # open from the first evaluation on: its effect is to be compared
  config.eval_every = 100
  config.losses.adversarial = 0.0003  # ten times as much spoils the lips
  config.losses.adversarial_start = 200
  config.losses.warmup_steps.adversarial = 100
  config.optimizer.b1 = 0.5
  return config
