"""TalkLip on LRS2: a frozen lip reader teaches the generator to be read (Wang et al., arXiv 2303.17480).

  python train.py --config=configs/lrs2_lip_reader.py --workdir=runs/lrs2_lip_reader --config.data.data_dir=DIR
  python train.py --config=configs/talk_lip.py --workdir=runs/talk_lip --config.data.data_dir=DIR \
    --config.sync_expert=runs/lrs2_sync_expert/checkpoint --config.lip_reader=runs/lrs2_lip_reader/checkpoint

Generated windows are placed into their clips, and the reader must find there what is said. Judge the result by a reader
of another seed, as `evaluate.py --lip_reader` does: one's own teacher flatters.
"""

from ml_collections import ConfigDict

from configs import lrs2


def get_config() -> ConfigDict:
  config = read_by_a_reader(lrs2.get_config(), 'characters', 1e-3)
  config.data.clip_frames = 155  # 6.2 s, as the reader's
  config.data.max_labels = 128
  config.losses.frame_contrast = 1e-3
  config.model.speech_window = 160  # 2 s around a frame; theirs hears the whole clip
  config.model.contrast = 768  # the reader's width
  return config


def read_by_a_reader(config: ConfigDict, alphabet: str, coefficient: float) -> ConfigDict:
  """A generator's config turned into that of one which a lip reader of this alphabet teaches."""
  config.losses.reading = coefficient
  config.data.alphabet = alphabet
  return config
