"""The schema of configs: it has a rule for every key of every config, and no others, and all their values pass."""

import pytest
from ml_collections import ConfigDict

from configs import ablations, av_hubert, lrs2, lrs2_gan, lrs2_lip_reader, lrs2_sync_expert, quickstart, real, silent
from lpips_jax.training import config_schema
from lpips_jax.training.config_schema import SCHEMA, flatten
from lpips_jax.training.validation import check_config

CONFIGS = {
  'lrs2': lrs2.get_config(),
  'lrs2_gan': lrs2_gan.get_config(),
  'lrs2_sync_expert': lrs2_sync_expert.get_config(),
  'lrs2_lip_reader': lrs2_lip_reader.get_config(),
  'av_hubert': av_hubert.get_config(),
  'silent': silent.get_config(),
  **{
    f'quickstart:{task}': quickstart.get_config(task)
    for task in ('sync_expert', 'generator', 'silent', 'lip_reader', 'av_expert')
  },
  **{f'real:{task}': real.get_config(task) for task in ('sync_expert', 'generator')},
  **{f'ablations:{name}': ablations.get_config(name) for name in ablations.CHANGES},
  'ablations:quickstart/full': ablations.get_config('quickstart/full'),
}


@pytest.mark.parametrize('name', CONFIGS)
def test_every_key_has_a_rule(name):
  missing = flatten(CONFIGS[name]).keys() - SCHEMA.keys()
  assert not missing, f'give these keys a line in SCHEMA: {missing}'


def test_every_rule_is_of_a_key():
  unused = SCHEMA.keys() - set().union(*(flatten(config) for config in CONFIGS.values()))
  assert not unused, f'no config has these keys: {unused}'


@pytest.mark.parametrize('name', [name for name in CONFIGS if not name.startswith('ablations')])
def test_configs_pass(name, monkeypatch):
  monkeypatch.setattr('lpips_jax.training.validation._problem_of_network', lambda values: None)  # takes seconds each
  check_config(CONFIGS[name])


def test_configs_share_no_values():
  quickstart.get_config('generator').losses.warmup_steps.sync = 7
  assert quickstart.get_config('generator').losses.warmup_steps.sync == 0


@pytest.mark.parametrize(
  ('rule', 'accepted', 'refused'),
  [
    ('TEXT', ['', 'a'], [1, None]),
    ('FLAG', [True, False], [0, 1.0, 'True']),
    ('FINITE', [-1, 0.5], [float('nan'), float('inf'), 'a']),
    ('NON_NEGATIVE', [0, 1.5], [-1, float('inf'), float('nan'), None]),
    ('POSITIVE', [1e-9], [0, -1.0, float('nan')]),
    ('COUNT', [1, 2], [0, -1, float('inf')]),
    ('SHARE', [0, 0.5, 1], [-0.1, 1.1, float('nan')]),
    ('BELOW_1', [0, 0.999], [1, -0.1, float('nan')]),
    ('STEPS', [1, 2**31 - 1], [0, 2**31]),
  ],
)
def test_rules_accept_what_they_say(rule, accepted, refused):
  accepts = getattr(config_schema, rule).accepts
  assert all(map(accepts, accepted)) and not any(map(accepts, refused))


def test_names_have_dots():
  assert flatten(ConfigDict({'a': 1, 'b': {'c': {'d': (2, 3)}}})) == {'a': 1, 'b.c.d': (2, 3)}
