"""An exported network computes what its checkpoint computes, and is read back as it was."""

import json
import subprocess
import sys

import jax
import numpy as np
import pytest
from networks import random_network

import lpips_jax
from lpips_jax import pretrained
from lpips_jax.core.errors import UserError
from lpips_jax.interop.convert import convert
from lpips_jax.interop.export import export
from lpips_jax.pretrained import model_card
from lpips_jax.storage import stores

RNG = np.random.default_rng(0)
WITH_TRAINING_PARTS = 'av_expert', 'visemes', 'reading'
STANDALONE = """
import sys
from pathlib import Path
sys.modules['lpips_jax'] = None
import jax
import numpy as np
program = jax.export.deserialize(bytearray(Path(sys.argv[1], 'model.stablehlo').read_bytes()))
inputs = np.load(sys.argv[2])
np.savez(sys.argv[3], *[program.call(inputs[f'faces_{n}'], inputs[f'mels_{n}']) for n in (1, 7, 64)])
"""


def examples(config, n):
  size = config.model.image_size
  return RNG.uniform(size=(n, size, size, 6)).astype(np.float32), RNG.uniform(-4, 4, (n, 80, 16)).astype(np.float32)


def same(ours, theirs):
  assert ours.config.model.to_dict() == theirs.config.model.to_dict() and ours.step == theirs.step
  jax.tree.map(np.testing.assert_array_equal, ours.variables, theirs.variables)


@pytest.mark.parametrize('fold', [False, True])
def test_safetensors_and_orbax_come_back_as_they_were(fold, trained_checkpoint, tmp_path):
  wanted = pretrained.load(trained_checkpoint)
  wanted = pretrained.folded(wanted) if fold else wanted
  export(trained_checkpoint, tmp_path / 'orbax', 'orbax', fold)
  same(pretrained.load(tmp_path / 'orbax'), wanted)
  export(tmp_path / 'orbax', tmp_path / 'safetensors', 'safetensors', fold)
  convert(tmp_path / 'safetensors' / 'model.safetensors', tmp_path / 'back')
  back = pretrained.load(tmp_path / 'back')
  same(back, wanted)
  faces, mels = examples(back.config, 3)
  expected = pretrained.load(trained_checkpoint)(faces, mels)
  np.testing.assert_allclose(back(faces, mels), expected, atol=1e-5 if fold else 0)


@pytest.mark.parametrize(
  ('name', 'format'),
  [
    ('av_expert', 'orbax'),
    ('av_expert', 'safetensors'),
    ('lip_reader', 'safetensors'),
    ('memory', 'safetensors'),
    ('visemes', 'orbax'),
    ('reading', 'safetensors'),
  ],
)
def test_weights_of_every_network_come_back_without_what_training_alone_uses(name, format, tmp_path):
  pretrained.save(tmp_path / 'checkpoint', random_network(name))
  network = pretrained.load(tmp_path / 'checkpoint')
  export(tmp_path / 'checkpoint', tmp_path / 'out', format)
  if format == 'safetensors':
    convert(tmp_path / 'out' / 'model.safetensors', tmp_path / 'back')
  back = pretrained.load(tmp_path / ('out' if format == 'orbax' else 'back'))
  same(back, pretrained.without_training_parts(network))
  left = {name for kind in back.variables.values() for name in kind}
  assert not left & {*getattr(network.model, 'training_modules', ())}
  assert (left < {name for kind in network.variables.values() for name in kind}) == (name in WITH_TRAINING_PARTS)


@pytest.mark.parametrize('name', ['lip_reader', 'av_expert'])
def test_networks_of_clips_are_programs_for_any_number_of_frames(name, tmp_path):
  network = random_network(name)
  pretrained.save(tmp_path / 'checkpoint', network)
  export(tmp_path / 'checkpoint', tmp_path / 'out', 'stablehlo')
  loaded = lpips_jax.load(tmp_path / 'out', trust_stablehlo=True)
  for clips, frames in (1, 7), (2, 30):
    given = [RNG.uniform(size=(clips, frames, 32, 32, 3)).astype(np.float32)]
    if name == 'av_expert':
      given = [RNG.standard_normal((clips, frames, 104)).astype(np.float32), *given]
    np.testing.assert_allclose(loaded(*given), network(*given), atol=5e-6)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['memory', 'visemes', 'reading'])
def test_generators_with_options_are_programs(name, tmp_path):
  network = random_network(name)
  pretrained.save(tmp_path / 'checkpoint', network)
  export(tmp_path / 'checkpoint', tmp_path / 'out', 'stablehlo')
  loaded, given = lpips_jax.load(tmp_path / 'out', trust_stablehlo=True), examples(network.config, 3)
  np.testing.assert_allclose(loaded(*given), network(*given), atol=5e-6)


def test_terms_of_networks_that_taught_one_go_with_it(tmp_path):
  pretrained.save(tmp_path / 'checkpoint', random_network('generator'))
  teacher = random_network('av_expert')
  teacher.config.terms = 'For fun only.'
  pretrained.save(tmp_path / 'checkpoint' / 'av_expert', teacher)
  export(tmp_path / 'checkpoint', tmp_path / 'out', 'orbax')
  assert not (tmp_path / 'out' / 'av_expert').exists()
  assert model_card.terms_of(tmp_path / 'out') == 'For fun only.'
  assert model_card.terms_of(tmp_path / 'checkpoint' / 'av_expert') == 'For fun only.'


@pytest.mark.slow
def test_stablehlo_runs_without_this_project(trained_checkpoint, tmp_path):
  export(trained_checkpoint, tmp_path / 'out', 'stablehlo', True)
  network, inputs = pretrained.load(trained_checkpoint), {}
  for n in (1, 7, 64):
    inputs[f'faces_{n}'], inputs[f'mels_{n}'] = examples(network.config, n)
  np.savez(tmp_path / 'inputs.npz', **inputs)
  files = [str(tmp_path / name) for name in ('out', 'inputs.npz', 'results.npz')]
  subprocess.run([sys.executable, '-c', STANDALONE, *files], check=True, cwd=tmp_path, capture_output=True)
  results, loaded = np.load(tmp_path / 'results.npz'), lpips_jax.load(tmp_path / 'out', trust_stablehlo=True)
  for k, n in enumerate((1, 7, 64)):
    expected = network(inputs[f'faces_{n}'], inputs[f'mels_{n}'])
    np.testing.assert_allclose(results[f'arr_{k}'], expected, atol=5e-6)
    np.testing.assert_allclose(loaded(inputs[f'faces_{n}'], inputs[f'mels_{n}']), expected, atol=5e-6)
  described = json.loads((tmp_path / 'out' / 'model.json').read_text())
  assert [(each['name'], each['shape'], each['range']) for each in described['inputs']] == [
    ('faces', ['batch', 32, 32, 6], [0, 1]),
    ('phones', ['batch', 80, 16], [0, 1]),
  ]
  assert described['mel']['hop'] == 200 and described['lead'] == network.config.data.lead


def test_a_failed_export_overwrites_and_leaves_nothing(trained_checkpoint, tmp_path):
  (tmp_path / 'out').mkdir()
  with pytest.raises(UserError, match='is there already'):
    export(trained_checkpoint, tmp_path / 'out', 'orbax')
  with pytest.raises(UserError, match='does not exist'):
    export(tmp_path / 'none', tmp_path / 'new', 'orbax')
  assert [path.name for path in tmp_path.iterdir()] == ['out']


@pytest.mark.slow
def test_buckets_hold_what_directories_do(tmp_path, gs_bucket):
  pretrained.save(tmp_path / 'checkpoint', random_network('sync_expert'))
  url = gs_bucket.url
  export(tmp_path / 'checkpoint', f'{url}/run/checkpoint', 'orbax')
  same(lpips_jax.load(f'{url}/run'), pretrained.load(tmp_path / 'checkpoint'))
  export(tmp_path / 'checkpoint', tmp_path / 'safetensors', 'safetensors')
  export(f'{url}/run/checkpoint', f'{url}/safetensors', 'safetensors')
  for name in ('model.json', 'MODEL_CARD.md'):
    assert stores.read(f'{url}/safetensors/{name}') == (tmp_path / 'safetensors' / name).read_bytes()
  convert(f'{url}/safetensors/model.safetensors', f'{url}/back')
  same(lpips_jax.load(f'{url}/back'), pretrained.load(tmp_path / 'checkpoint'))
  for write in (lambda: export(f'{url}/run', f'{url}/back', 'orbax'), lambda: convert(f'{url}/run', f'{url}/back')):
    with pytest.raises(UserError, match='back is there already'):
      write()
  with pytest.raises(UserError, match='checkpoint needs no conversion'):
    convert(f'{url}/run/checkpoint', f'{url}/new')
  assert not stores.files_below(f'{url}/new')
