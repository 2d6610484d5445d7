"""The values that each key of a training config may have, in one table that `validation` goes through.

To add a key, give it a value and a comment in configs/lrs2.py, configs/lrs2_sync_expert.py or
configs/lrs2_lip_reader.py, from which all other configs derive, and one line in `SCHEMA`: its name, with dots, the rule
for its values, and its unit or meaning as a comment. A rule holds for every element of a tuple. The coefficient of a
generator's loss needs no line: see `generator_losses`. A condition that involves several keys is a function of
`validation`.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from lpips_jax.audio.alphabets import ALPHABETS
from lpips_jax.audio.condition import CONDITIONS
from lpips_jax.audio.loudness import LEVELS
from lpips_jax.core.constants import FROZEN
from lpips_jax.models import NETWORKS_OF_TASK
from lpips_jax.models.generator import FUSIONS, OUTPUTS
from lpips_jax.models.sync_expert import VIEWS
from lpips_jax.training.generator_losses import AV_SYNC_KINDS, SYNC_LOSSES, TERMS
from lpips_jax.training.optimizer import SCALING

MAX_STEPS = 2**31 - 1  # steps are counted in int32


class Rule(NamedTuple):
  """A condition on a single value.

  Attributes:
    accepts: whether a value fulfils it.
    problem: the rest of the error line, after the key and the rejected value.
  """

  accepts: Callable[[Any], bool]
  problem: str


def numbers(accepts: Callable[[float], bool], problem: str) -> Rule:
  """The rule that a value is a finite number which fulfils a condition."""
  return Rule(lambda value: isinstance(value, int | float) and math.isfinite(value) and accepts(value), problem)


def one_of(choices: Iterable[str]) -> Rule:
  """The rule that a value is one of a few names."""
  names = tuple(choices)
  return Rule(lambda value: value in names, f': there are {", ".join(names)}')


TEXT = Rule(lambda value: isinstance(value, str), ' must be a string')
FLAG = Rule(lambda value: isinstance(value, bool), ' must be True or False')
FINITE = numbers(lambda x: True, ' must be finite')
NON_NEGATIVE = numbers(lambda x: x >= 0, ' must be 0 or more, and finite')
POSITIVE = numbers(lambda x: x > 0, ' must be more than 0, and finite')
COUNT = numbers(lambda x: x >= 1, ' must be at least 1, and finite')
SHARE = numbers(lambda x: 0 <= x <= 1, ' must be from 0 to 1')
BELOW_1 = numbers(lambda x: 0 <= x < 1, ' must be 0 or more, and less than 1')
STEPS = numbers(lambda x: 1 <= x <= MAX_STEPS, f' must be from 1 to {MAX_STEPS}')

SCHEMA: dict[str, Rule] = {
  'task': one_of(NETWORKS_OF_TASK),
  'seed': NON_NEGATIVE,  # of parameters, shuffling and augmentation
  'init_from': TEXT,  # a checkpoint directory
  **dict.fromkeys(FROZEN, TEXT),  # checkpoint directories
  'audio_encoder_from_expert': FLAG,
  # ---- networks; `validation` tries whether one can be built of these values
  'model.name': TEXT,  # one of NETWORKS_OF_TASK
  'model.image_size': NON_NEGATIVE,  # pixels, side of the crops
  'model.widths': NON_NEGATIVE,  # channels of the generator, by resolution
  'model.stem_kernel': NON_NEGATIVE,  # pixels, side of the first kernel
  'model.blocks': NON_NEGATIVE,  # residual blocks per resolution
  'model.bottleneck': NON_NEGATIVE,  # blocks at the lowest resolution
  'model.audio_widths': NON_NEGATIVE,  # channels of the speech encoder
  'model.audio_residuals': NON_NEGATIVE,  # residual blocks of the speech encoder
  'model.face_widths': NON_NEGATIVE,  # channels of the expert's face encoder
  'model.face_residuals': NON_NEGATIVE,  # residual blocks of the expert's face encoder
  'model.attention': FLAG,  # CBAM
  'model.fusion': one_of(FUSIONS),  # how speech enters the generator
  'model.speech_window': POSITIVE,  # steps of 12.5 ms that it hears at once; 16, or a longer multiple of 16
  'model.speech': one_of(CONDITIONS),  # what the network hears
  'model.taught_by_sound': FLAG,  # in training it hears the mel beside visemes
  'model.paint_bias': FINITE,  # log-odds that a pixel of a moved face is painted, before anything is learnt
  'model.output': one_of(OUTPUTS),  # what the generator's last layer makes
  'model.memory_slots': NON_NEGATIVE,  # of the generator's audio-lip memory
  'model.landmarks': NON_NEGATIVE,  # numbers of the shape of the mouth that are told from speech
  'model.contrast': NON_NEGATIVE,  # size of the features that it compares with a lip reader's
  'model.contrastive': FLAG,  # the expert's logits have a learnt scale
  'model.view': one_of(VIEWS),  # the part of the face that the expert sees
  'model.alphabet': one_of(ALPHABETS),  # in which a lip reader writes
  'model.mouth_size': NON_NEGATIVE,  # pixels, side of the mouths that lip readers and audio-visual experts see
  'model.stem_width': NON_NEGATIVE,  # channels of their first convolution
  'model.lip_widths': NON_NEGATIVE,  # channels of their trunk, by resolution
  'model.lip_depths': NON_NEGATIVE,  # its residual blocks
  'model.width': NON_NEGATIVE,  # channels of their transformer
  'model.layers': NON_NEGATIVE,  # its blocks
  'model.heads': NON_NEGATIVE,  # of each
  'model.hidden': NON_NEGATIVE,  # channels between the dense layers of a block
  'model.position_kernel': NON_NEGATIVE,  # frames
  'model.position_groups': NON_NEGATIVE,  # of its channels
  'model.clusters': NON_NEGATIVE,  # of sounds, which an audio-visual expert learns to tell
  'model.dropout': BELOW_1,
  'model.dtype': one_of(('float32', 'bfloat16')),
  'discriminator.name': TEXT,  # checked where there is an adversarial loss
  'discriminator.image_size': NON_NEGATIVE,  # pixels, side that crops are resized to
  'discriminator.widths': NON_NEGATIVE,  # channels
  'perceptual.source': TEXT,  # 'pretrained', 'random' or a directory
  'perceptual.width': POSITIVE,  # channels of VGG16, as a share of the original's
  'perceptual.seed': NON_NEGATIVE,  # of random weights
  # ---- losses of a generator
  **{f'losses.{name}': NON_NEGATIVE for name in TERMS},
  'losses.sync_kind': one_of(SYNC_LOSSES),
  **{f'losses.{name}_gate': NON_NEGATIVE for name, term in TERMS.items() if term.gate},  # of the loss, evaluated
  'losses.av_sync_kind': one_of(AV_SYNC_KINDS),
  'losses.adversarial_kind': one_of(('bce', 'hinge')),
  'losses.adversarial_start': NON_NEGATIVE,  # steps
  'losses.r1': NON_NEGATIVE,  # coefficient of the penalty on the discriminator's slope
  'losses.warmup_steps.perceptual': NON_NEGATIVE,  # steps over which the coefficient rises; so for the next two
  'losses.warmup_steps.sync': NON_NEGATIVE,
  'losses.warmup_steps.adversarial': NON_NEGATIVE,
  # ---- losses of an expert
  'losses.contrastive': NON_NEGATIVE,  # coefficient
  'losses.negatives': one_of(('batch', 'clip')),  # of the contrastive loss
  'losses.bce': NON_NEGATIVE,  # coefficient
  'losses.hardness': NON_NEGATIVE,  # of the BCE's negatives, in the end
  'losses.hardness_steps': NON_NEGATIVE,  # over which it rises
  'losses.trust': NON_NEGATIVE,  # exponent of the probability that a clip is in sync
  # ---- losses of a lip reader
  'losses.ctc': NON_NEGATIVE,  # coefficient, per label
  'losses.frames': NON_NEGATIVE,  # coefficient of the cross-entropy of frames
  # ---- losses of an audio-visual expert, beside `losses.contrastive`
  'losses.masked': NON_NEGATIVE,  # coefficient of the prediction of masked frames' clusters
  'losses.temperature': POSITIVE,  # of the contrastive loss: what cosines are divided by
  'losses.shift': COUNT,  # video frames, at most, between the stretches of sound and of lips that it compares
  'minimum_offset': COUNT,  # video frames
  'diagnosis_clips': COUNT,
  # ---- data
  'data.name': TEXT,  # a corpus, or a mixture
  'data.data_dir': TEXT,
  'data.level': one_of(LEVELS),  # `validation` requires the normalised one
  'data.split': TEXT,
  'data.eval_split': TEXT,
  'data.batch_size': COUNT,  # windows of a generator's batch, clips of an expert's
  'data.windows': COUNT,  # of each clip
  'data.lead': FINITE,  # video frames by which a window of speech starts before its frame
  'data.eval_batches': COUNT,
  'data.clip_frames': COUNT,  # of whole clips
  'data.max_labels': COUNT,  # of what is said in them
  'data.alphabet': one_of(ALPHABETS),  # in which that is written
  'data.workers': NON_NEGATIVE,  # processes
  'data.own_shards': FLAG,
  'data.in_place': FLAG,
  'data.shifted': SHARE,  # of the clips trained on
  'data.reference': one_of(('rest', 'elsewhere')),
  'data.augment.flip': SHARE,  # probability
  'data.augment.colour': BELOW_1,  # largest relative change
  'data.augment.jpeg': SHARE,  # probability
  'data.augment.crop': BELOW_1,  # largest shift, as a share of the side
  'data.augment.misheard': SHARE,  # of the phones
  'data.augment.voice': SHARE,  # strength
  'data.augment.silence': SHARE,  # of the targets
  # ---- optimisation
  'optimizer.learning_rate': POSITIVE,
  'optimizer.batch_size': COUNT,  # that the rate is meant for
  'optimizer.scaling': one_of(SCALING),
  'optimizer.b1': BELOW_1,
  'optimizer.b2': BELOW_1,
  'optimizer.weight_decay': NON_NEGATIVE,
  'optimizer.warmup_steps': NON_NEGATIVE,
  'optimizer.cosine': FLAG,
  'optimizer.clip_norm': POSITIVE,  # of the gradient
  'average_decay': BELOW_1,  # per step
  'accumulate': COUNT,  # micro-batches
  'remat': FLAG,
  # ---- the run
  'steps': STEPS,
  'log_every': COUNT,  # steps
  'eval_every': COUNT,  # steps
  'checkpoint_every': COUNT,  # steps
  'keep': COUNT,  # checkpoints
  'keep_best': NON_NEGATIVE,  # checkpoints
  'writers': TEXT,  # names of `writers`; `validation` checks them
  'profile': TEXT,  # FIRST:LAST, steps; checked there, too
}


def flatten(config: ConfigDict, prefix: str = '') -> dict[str, Any]:
  """Returns the values of a config by their names, with dots."""
  values: dict[str, Any] = {}
  for key, value in config.items():
    values |= flatten(value, f'{prefix}{key}.') if isinstance(value, ConfigDict) else {prefix + key: value}
  return values
