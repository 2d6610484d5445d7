"""A network in ONNX computes what its checkpoint computes, for any batch size."""

import sys

import numpy as np
import pytest
from networks import random_network

from lpips_jax import pretrained
from lpips_jax.core.errors import UserError
from lpips_jax.interop import onnx_files
from lpips_jax.interop.description import inputs_of
from lpips_jax.interop.export import export


@pytest.mark.parametrize(
  ('name', 'fold'),
  [('generator', True), ('memory', False), ('visemes', False)],
)
def test_any_batch_runs(name, fold, tmp_path):
  pytest.importorskip('jax2onnx')
  import onnxruntime

  network, rng = random_network(name), np.random.default_rng(0)
  pretrained.save(tmp_path / 'checkpoint', network)
  export(tmp_path / 'checkpoint', tmp_path / 'out', 'onnx', fold)
  session = onnxruntime.InferenceSession(tmp_path / 'out' / 'model.onnx')
  for n in (1, 7, 64):
    inputs = inputs_of(network.config.model)
    given = {each.name: rng.uniform(size=(n, *each.shape[1:])).astype(np.float32) for each in inputs}
    (made,) = session.run(None, given)
    np.testing.assert_allclose(made, network(*given.values()), atol=5e-6)


def test_without_the_converter_it_says_what_to_install(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, 'jax2onnx', None)
  with pytest.raises(UserError, match=r"ONNX needs jax2onnx .*pip install -e '\.\[onnx\]'"):
    onnx_files.write(tmp_path / 'model.onnx', random_network('sync_expert'), {})
  assert not (tmp_path / 'model.onnx').exists()


@pytest.mark.parametrize('name', ['lip_reader', 'av_expert'])
def test_networks_of_clips_are_refused_in_a_line(name, tmp_path):
  pretrained.save(tmp_path / 'checkpoint', random_network(name))
  with pytest.raises(UserError, match=r'sees whole clips.*give format=stablehlo'):
    export(tmp_path / 'checkpoint', tmp_path / 'out', 'onnx')
  assert not (tmp_path / 'out').exists()
