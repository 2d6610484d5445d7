"""LPIPS-AttnWav2Lip on LRS2 with all four losses: L1, LPIPS, sync expert and Wav2Lip's quality discriminator.

  python train.py --config=configs/lrs2_gan.py --workdir=runs/lrs2_gan --config.data.data_dir=DIR \
    --config.sync_expert=runs/lrs2_sync_expert/checkpoint

The coefficient and Adam's decay rates are Wav2Lip's (arXiv 2008.10010). The paper itself has no adversary.
"""

from ml_collections import ConfigDict

from configs import lrs2


def get_config() -> ConfigDict:
  config = lrs2.get_config()
  config.losses.adversarial = 0.07
  config.losses.adversarial_start = 2_000  # until faces are recognisable the discriminator has an easy time
  config.losses.warmup_steps.adversarial = 2_000
  config.optimizer.b1 = 0.5
  return config
