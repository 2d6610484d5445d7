"""Text2Lip on LRS2: visemes in place of sound (Wang et al., arXiv 2508.02362), so that a text needs no recording.

  python train.py --config=configs/text2lip.py --workdir=runs/text2lip --config.data.data_dir=DIR \
    --config.sync_expert=runs/lrs2_sync_expert/checkpoint
  python infer.py --checkpoint=runs/text2lip/checkpoint --face=me.mp4 --text="Good morning." --drive=visemes \
    --output=dubbed.mp4

What the generator hears is made of visemes, in training those of the phones that a recogniser hears. Sound teaches it:
at first it hears the mel, from a tenth of the run on in fewer and fewer windows, and after seven tenths visemes alone;
the codes of visemes are drawn to those of sound all along. The paper's sizes, schedule and coefficients are not public.
"""

from ml_collections import ConfigDict

from configs import lrs2


def get_config() -> ConfigDict:
  return driven_by_visemes(lrs2.get_config())


def driven_by_visemes(config: ConfigDict) -> ConfigDict:
  """A generator's config turned into that of one which is driven by visemes, and taught by sound."""
  config.model.speech = 'visemes'
  config.model.taught_by_sound = True
  config.losses.pseudo_audio = 0.1
  return config
