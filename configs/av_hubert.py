"""AV-HuBERT of the base size on LRS2, as an expert for `config.losses.av_sync` and to judge lips by AVS.

  python train.py --config=configs/av_hubert.py --workdir=runs/av_hubert --config.data.data_dir=DIR

Released weights need no training: `python -m lpips_jax.interop.convert base_vox_iter5.pt runs/av_hubert_base` makes
them an expert at once, and with `--config.init_from=runs/av_hubert_base` they are where this one starts, to be tuned to
crops as ours. The large network is

  --config.model.width=1024 --config.model.layers=24 --config.model.heads=16 --config.model.hidden=4096
"""

from ml_collections import ConfigDict

from configs import lrs2_lip_reader


def get_config() -> ConfigDict:
  config = lrs2_lip_reader.get_config()
  config.task = 'av_expert'
  config.model.name = 'av_hubert'
  del config.model.alphabet
  config.model.clusters = 2_000  # of sounds, as in AV-HuBERT's last iteration; k-means follows the batches
  config.minimum_offset = 3  # video frames that count as off sync

  config.losses = ConfigDict()
  config.losses.masked = 1.0  # prediction of masked frames' clusters
  config.losses.contrastive = 1.0  # the frame seen is to be found by what is heard, and the reverse
  config.losses.temperature = 0.1  # which its cosines are divided by
  config.losses.shift = 25  # frames that stretches of sound and lips are apart, at most, so that places tell nothing

  config.data.alphabet = 'visemes'  # which are not looked at here
  config.optimizer.learning_rate = 1e-4
  config.steps = 100_000
  return config
