"""Values that no run can have are refused, each named by its key."""

import pytest
from runs import tiny_config

from lpips_jax.core.errors import UserError
from lpips_jax.training.validation import check_config

NAN = float('nan')


@pytest.mark.parametrize(
  'task, values, message',
  [
    ('sync_expert', {'task': 'expert'}, "config.task='expert': there are sync_expert, generator"),
    ('sync_expert', {'model.name': 'attn_wav2lip'}, "config.model.name='attn_wav2lip': there are sync_expert"),
    ('sync_expert', {'model.dtype': 'int32'}, "config.model.dtype='int32': there are float32, bfloat16"),
    ('sync_expert', {'seed': -1}, 'config.seed=-1 must be 0 or more, and finite'),
    ('sync_expert', {'steps': 10**20}, 'config.steps=100000000000000000000 must be from 1 to 2147483647'),
    ('sync_expert', {'losses.trust': NAN}, 'config.losses.trust=nan must be 0 or more, and finite'),
    ('sync_expert', {'losses.bce': 0.0, 'losses.contrastive': 0.0}, 'are both 0: nothing would be learnt'),
    ('sync_expert', {'losses.negatives': 'all'}, "config.losses.negatives='all': there are batch, clip"),
    ('sync_expert', {'model.view': 'eyes'}, "config.model.view='eyes': there are lower_half, mouth"),
    ('sync_expert', {'model.dropout': 1.0}, 'config.model.dropout=1.0 must be 0 or more, and less than 1'),
    ('sync_expert', {'data.augment.voice': 1.5}, 'config.data.augment.voice=1.5 must be from 0 to 1'),
    ('sync_expert', {'data.level': 'as_is'}, "config.data.level='as_is': speech is brought to one level"),
    ('sync_expert', {'data.shifted': 2.0}, 'config.data.shifted=2.0 must be from 0 to 1'),
    ('sync_expert', {'optimizer.clip_norm': 0.0}, 'config.optimizer.clip_norm=0.0 must be more than 0'),
    ('sync_expert', {'average_decay': 1.0}, 'config.average_decay=1.0 must be 0 or more, and less than 1'),
    ('sync_expert', {'diagnosis_clips': 0}, 'config.diagnosis_clips=0 must be at least 1'),
    ('sync_expert', {'model.face_widths': (4, 4)}, 'config.model: no sync_expert can be made of these values'),
    ('sync_expert', {'model.audio_widths': (4, 4, 8, 8, 16)}, 'must end alike, not with 8 and 16'),
    ('sync_expert', {'optimizer.warmup_steps': 2}, 'a short run needs a short warm-up'),
    ('generator', {'data.lead': NAN}, 'config.data.lead=nan must be finite'),
    ('generator', {'model.widths': (4, -8)}, 'config.model.widths=-8 must be 0 or more, and finite'),
    ('generator', {'model.audio_residuals': (-1, 0, 0, 0)}, 'config.model.audio_residuals=-1 must be 0 or more'),
    ('generator', {'model.widths': ()}, 'config.model: no attn_wav2lip can be made of these values'),
    ('generator', {'losses.sync_kind': 'logs'}, "config.losses.sync_kind='logs': there are log, stabilised"),
    ('generator', {'losses.triplet': 1.0, 'model.image_size': 16}, 'needs config.model.image_size=32 or more'),
    ('generator', {'silent_generator': 'runs/silent'}, 'give config.model.output=change or image'),
    (
      'generator',
      {'losses.adversarial': 1.0, 'discriminator.widths': (2,)},
      'config.discriminator: no discriminator can be made of these values',
    ),
  ],
)
def test_impossible_values_are_named(task, values, message, tmp_path):
  config = tiny_config(task, tmp_path)
  config.update_from_flattened_dict(values)
  with pytest.raises(UserError) as refused:
    check_config(config)
  assert message in str(refused.value)


def test_speech_may_lead_or_follow(tmp_path):
  config = tiny_config('generator', tmp_path)
  config.data.lead = -2.0
  check_config(config)
