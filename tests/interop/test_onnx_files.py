"""A network in ONNX computes what its checkpoint computes, for any batch size."""

import sys

import numpy as np
import pytest
from networks import random_network

from lpips_jax import pretrained
from lpips_jax.core.errors import UserError
from lpips_jax.interop import onnx_files
from lpips_jax.interop.export import export


def test_any_batch_runs(tmp_path):
  pytest.importorskip('jax2onnx')
  import onnxruntime

  network, rng = random_network('generator'), np.random.default_rng(0)
  pretrained.save(tmp_path / 'checkpoint', network)
  export(tmp_path / 'checkpoint', tmp_path / 'out', 'onnx', fold=True)
  session = onnxruntime.InferenceSession(tmp_path / 'out' / 'model.onnx')
  for n in (1, 7, 64):
    faces = rng.uniform(size=(n, 32, 32, 6)).astype(np.float32)
    mels = rng.uniform(-4, 4, (n, 80, 16)).astype(np.float32)
    (made,) = session.run(None, {'faces': faces, 'mels': mels})
    np.testing.assert_allclose(made, network(faces, mels), atol=5e-6)


def test_without_the_converter_it_says_what_to_install(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, 'jax2onnx', None)
  with pytest.raises(UserError, match=r"ONNX needs jax2onnx .*pip install -e '\.\[onnx\]'"):
    onnx_files.write(tmp_path / 'model.onnx', random_network('sync_expert'), ('frames', 'mels'))
  assert not (tmp_path / 'model.onnx').exists()
