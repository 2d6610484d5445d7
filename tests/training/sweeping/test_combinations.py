"""Sweeps are made of all combinations of values: the commands of their runs, and what is refused."""

import pytest
from absl import flags
from ml_collections import config_flags
from runs import ROOT

from lpips_jax.core.errors import UserError
from lpips_jax.training.sweeping.combinations import make_sweep
from lpips_jax.training.sweeping.grids import parse_grid

CONFIG = str(ROOT / 'configs' / 'quickstart.py') + ':sync_expert'


@pytest.fixture(autouse=True, scope='module')
def valid_networks():
  """Networks are not built here: tests/training/test_validation.py does that."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr('lpips_jax.training.validation._check_network', lambda *_: None)
    yield


def sweep(*texts, **overrides):
  return make_sweep(CONFIG, overrides, [parse_grid(text) for text in texts])


def test_all_combinations_are_runs():
  made = sweep('optimizer.learning_rate=1e-4,0.003', 'seed=0,1', steps=70)
  assert list(made.runs) == [
    *('learning_rate=0.0001,seed=0', 'learning_rate=0.0001,seed=1'),
    *('learning_rate=0.003,seed=0', 'learning_rate=0.003,seed=1'),
  ]
  assert made.arguments('learning_rate=0.003,seed=1', 'gs://bucket/sweep/') == [
    f'--config={CONFIG}',
    '--workdir=gs://bucket/sweep/learning_rate=0.003,seed=1',
    *('--config.steps=70', '--config.optimizer.learning_rate=0.003', '--config.seed=1'),
  ]


def test_arguments_are_what_train_py_makes_of_them():
  values = {'model.face_widths': (4, 8, 8), 'data.name': 'a:1,b:3', 'model.contrastive': False, 'data.shifted': 0.25}
  made = sweep('model.audio_widths=(4,8),[8, 8]', 'optimizer.cosine=true,False', **values)
  read = flags.FlagValues()
  arguments = ['train.py', *made.arguments(list(made.runs)[2], 'runs')]
  flags.DEFINE_string('workdir', None, '', flag_values=read)
  config_flags.DEFINE_config_file('config', flag_values=read, sys_argv=arguments)
  read(arguments)
  config = read.config
  assert config.to_dict() == made.load_config(list(made.runs)[2]).to_dict()
  assert config.model.audio_widths == (8, 8) and config.model.face_widths == (4, 8, 8)
  assert config.optimizer.cosine is True and config.model.contrastive is False and config.data.name == 'a:1,b:3'


@pytest.mark.parametrize(
  ('texts', 'problem'),
  [
    (['seeds=1'], r'no key seeds: did you mean seed\?'),
    (['learning_rate=1'], r'no key learning_rate: did you mean optimizer.learning_rate\?'),
    (['image_siz=1'], r'no key image_siz: did you mean model.image_size\?'),
    (['zzz=1'], r'no key zzz$'),
    (['optimizer=1'], 'config.optimizer is no single value: give a key in it, such as optimizer.b1'),
    (['seed=0', 'seed=1'], 'config.seed is given twice'),
    (['steps=90'], 'config.steps is given twice'),
    (['optimizer.learning_rate=1e-4,0.0001'], '0.0001 is given twice'),
    (
      ['optimizer.learning_rate=fast'],
      "config.optimizer.learning_rate=fast: could not convert string to float: 'fast'",
    ),
    (['seed=0.5'], 'config.seed=0.5'),
    (['model.audio_widths="(4,"'], r'config.model.audio_widths=\(4,'),
    (['seed=1', 'optimizer.b1=0.5,1.5'], 'the run seed=1,b1=1.5 cannot be trained: config.optimizer.b1=1.5 must be'),
    (
      ['optimizer.warmup_steps=10,100'],
      r'the run warmup_steps=100 cannot be trained: .* must be less than config.steps',
    ),
  ],
)
def test_what_cannot_be_trained_is_refused(texts, problem):
  with pytest.raises(UserError, match=problem):
    sweep(*texts, steps=80)
