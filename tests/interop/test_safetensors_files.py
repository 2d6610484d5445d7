"""Exported safetensors are read back, and damaged ones are one line."""

import jax
import numpy as np
import pytest
from networks import random_network

from lpips_jax import pretrained
from lpips_jax.core.errors import UserError
from lpips_jax.interop import safetensors_files
from lpips_jax.interop.convert import convert
from lpips_jax.interop.export import export


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
  """The file of a sync expert."""
  directory = tmp_path_factory.mktemp('exported')
  pretrained.save(directory / 'expert', random_network('sync_expert'))
  export(directory / 'expert', directory / 'out', 'safetensors')
  return directory / 'out' / 'model.safetensors'


def test_a_network_comes_back_with_its_config_and_step(exported):
  network, original = safetensors_files.read(exported), random_network('sync_expert')
  assert network.step == original.step and network.model == original.model
  assert network.config.task == 'sync_expert'
  jax.tree.map(np.testing.assert_array_equal, network.variables, original.variables)


def test_damaged_files_are_one_line(exported, tmp_path):
  whole = exported.read_bytes()
  for k, content in enumerate((b'', whole[:1000], whole[:-7], b'x' * 500, b'\xff' * 8 + whole[8:])):
    path = tmp_path / f'{k}.safetensors'
    path.write_bytes(content)
    with pytest.raises(UserError, match='damaged') as caught:
      convert(path, tmp_path / 'back')
    assert '\n' not in str(caught.value)
  assert not (tmp_path / 'back').exists()


def test_tensors_that_do_not_fit_their_config_are_named(exported, tmp_path):
  from safetensors import safe_open
  from safetensors.numpy import save_file

  with safe_open(exported, 'numpy') as file:
    metadata, arrays = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
  arrays['params.extra'] = arrays.pop(next(iter(sorted(arrays))))
  save_file(arrays, tmp_path / 'changed.safetensors', metadata)
  with pytest.raises(UserError, match=r'does not fit its own config: missing: .*; surplus: params\.extra'):
    safetensors_files.read(tmp_path / 'changed.safetensors')
  with pytest.raises(UserError, match='is not there: give a file of weights'):
    safetensors_files.read(tmp_path / 'nothing.safetensors')
