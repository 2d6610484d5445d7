"""Values that no run can have are refused, each named by its key."""

import pytest
from runs import tiny_config

from lpips_jax.core.errors import UserError
from lpips_jax.training.validation import check_config

NAN = float('nan')


@pytest.mark.parametrize(
  'task, values, message',
  [
    ('sync_expert', {'task': 'expert'}, "'expert': there are sync_expert, av_expert, lip_reader, generator"),
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
    ('generator', {'model.speech_window': 90}, 'config.model.speech_window=90 must be a multiple of 16'),
    ('lip_reader', {'data.clip_frames': 4}, 'config.data.clip_frames=4 must hold a window: give at least 5'),
    ('sync_expert', {'model.speech': 'visemes'}, 'config.model.speech=visemes is for generators: an expert hears mel'),
    ('generator', {'model.speech': 'letters'}, "config.model.speech='letters': there are mel, phones, visemes"),
    ('generator', {'model.taught_by_sound': True}, 'is for config.model.speech=visemes: give both, or neither'),
    (
      'lip_reader',
      {'data.alphabet': 'letters'},
      "config.data.alphabet='letters': there are sounds, visemes, characters",
    ),
    ('lip_reader', {'data.alphabet': 'sounds'}, 'config.model.alphabet=visemes is not config.data.alphabet=sounds'),
    ('lip_reader', {'losses.ctc': 0.0, 'losses.frames': 0.0}, 'are both 0: nothing would be learnt'),
    (
      'lip_reader',
      {'losses.ctc': 0.0, 'model.alphabet': 'characters', 'data.alphabet': 'characters'},
      'nobody knows when characters are said',
    ),
    ('lip_reader', {'model.heads': 3}, 'config.model: no lip_reader can be made of these values'),
    ('av_expert', {'model.clusters': 0}, 'config.model.clusters=0 must be at least 2'),
    ('av_expert', {'losses.masked': 0.0, 'losses.contrastive': 0.0}, 'are both 0: nothing would be learnt'),
    ('av_expert', {'losses.shift': 21}, 'of config.data.clip_frames=25: give at most 20'),
    ('generator', {'data.lead': NAN}, 'config.data.lead=nan must be finite'),
    ('generator', {'model.widths': (4, -8)}, 'config.model.widths=-8 must be 0 or more, and finite'),
    ('generator', {'model.audio_residuals': (-1, 0, 0, 0)}, 'config.model.audio_residuals=-1 must be 0 or more'),
    ('generator', {'model.widths': ()}, 'config.model: no attn_wav2lip can be made of these values'),
    ('generator', {'losses.sync_kind': 'logs'}, "config.losses.sync_kind='logs': there are log, stabilised"),
    ('generator', {'losses.triplet': 1.0, 'model.image_size': 16}, 'needs config.model.image_size=32 or more'),
    (
      'generator',
      {'model.name': 'wav2lip', 'model.image_size': 96},
      'config.model: wav2lip has no attention nor ',
    ),
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


@pytest.mark.parametrize(
  ('loss', 'option'), [('store', 'memory_slots'), ('frame_contrast', 'contrast'), ('landmarks', 'landmarks')]
)
def test_a_loss_of_an_option_needs_that_option(loss, option, tmp_path):
  config = tiny_config('generator', tmp_path)
  config.losses[loss] = 0.1
  with pytest.raises(UserError, match=f'losses.{loss}=0.1 is of networks with config.model.{option}'):
    check_config(config)
  config.model[option] = 4
  check_config(config)


def test_clips_of_losses_that_read_are_whole(tmp_path):
  config = tiny_config('generator', tmp_path)
  config.losses.reading = 0.1
  config.data.update(batch_size=4, windows=2)
  check_config(config)
  config.accumulate = 4
  with pytest.raises(UserError, match=r'batch_size=4 must be a multiple of config.data.windows=2 and of config.accum'):
    check_config(config)
