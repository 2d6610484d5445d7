"""A silent generator on LRS2: given silence, it shuts the mouth of any frame (Yaman et al., arXiv 2307.09368).

  python train.py --config=configs/silent.py --workdir=runs/silent --config.data.data_dir=DIR \
    --config.sync_expert=runs/lrs2_sync_expert/checkpoint
  python train.py --config=configs/lrs2.py --workdir=runs/lrs2 --config.data.data_dir=DIR \
    --config.sync_expert=runs/lrs2_sync_expert/checkpoint --config.silent_generator=runs/silent/checkpoint \
    --config.data.reference=elsewhere --config.losses.sync_kind=stabilised

The first run uses the expert only to report a sync loss. The second keeps a copy of the silent generator, which then
shuts the mouth of every reference, also when its checkpoint dubs.
"""

from ml_collections import ConfigDict

from configs import lrs2


def get_config() -> ConfigDict:
  return shutting(lrs2.get_config())


def shutting(config: ConfigDict) -> ConfigDict:
  """A generator's config turned into one that learns to shut mouths."""
  config.losses.sync = 0.0  # this loss would move its lips
  config.data.augment.silence = 0.2
  config.data.reference = 'elsewhere'  # mouths as open as they come; 'rest' shows it none
  return config
