"""Devices to compile for: those of this machine, or of a topology whose compiler is installed."""

import importlib.util

import jax
import pytest

from lpips_jax.core.errors import UserError
from lpips_jax.planning import topologies


def test_local_devices_lie_along_one_axis():
  mesh = topologies.mesh_of('local')
  assert mesh.axis_names == ('data',) and list(mesh.devices) == jax.local_devices()


@pytest.mark.parametrize('topology', ['v5e', 'somewhere', 'h200', 'h200:0', 'h200:2x2', 'a100:1'])
def test_other_names_are_no_topology(topology):
  with pytest.raises(UserError, match=f'^topology={topology}: give local, ') as caught:
    topologies.mesh_of(topology)
  assert caught.value.as_flags().startswith(f'--topology={topology}: ')


@pytest.mark.skipif(importlib.util.find_spec('libtpu') is not None, reason='libtpu is installed')
def test_tpus_need_their_compiler():
  with pytest.raises(UserError, match=r"needs libtpu.*pip install -e '\.\[tpu\]'"):
    topologies.mesh_of('v5e:4x4')


@pytest.mark.skipif(importlib.util.find_spec('libtpu') is None, reason="no libtpu: pip install -e '.[tpu]'")
@pytest.mark.parametrize('topology', ['v9:2x2', 'v5e:3x5'])
def test_tpus_that_do_not_exist_are_refused(topology):
  with pytest.raises(UserError, match=f'topology={topology}: '):
    topologies.mesh_of(topology)


@pytest.mark.skipif(
  any(importlib.util.find_spec(f'jax_cuda{version}_plugin') for version in (12, 13)), reason='the plugin is installed'
)
def test_gpus_need_their_plugin():
  with pytest.raises(UserError, match=r"needs JAX's plugin for CUDA: pip install -e '\.\[cuda\]'"):
    topologies.mesh_of('h200:1')
