"""SyncTalkFace on LRS2: speech recalls lips from a memory (Park et al., AAAI 2022, arXiv 2211.00924).

  python train.py --config=configs/sync_talk_face.py --workdir=runs/sync_talk_face --config.data.data_dir=DIR \
    --config.sync_expert=runs/lrs2_sync_expert/checkpoint
  python -m benchmarks.quality.memory --checkpoint=runs/sync_talk_face/checkpoint --output=memory.json

The losses are those of the paper: L1, an adversary, the sync expert, and visual sync beside the memory's own. The
network around the memory is this project's, and so are the sizes and coefficients, which could not be found. Lips are
seen by the frozen sync expert, whose embeddings are as wide as the speech code.
"""

from ml_collections import ConfigDict

from configs import lrs2_gan


def get_config() -> ConfigDict:
  config = remembering(lrs2_gan.get_config(), slots=96)
  config.losses.perceptual = 0.0
  config.losses.visual_sync = 0.1
  return config


def remembering(config: ConfigDict, slots: int) -> ConfigDict:
  """A generator's config turned into one with a memory; its width is that of the speech code."""
  config.model.memory_slots = slots
  config.losses.store = 1.0
  config.losses.align = 1.0
  return config
