"""What is exported says the same as the checkpoint it was made of, and comes back as it was."""

import json
import subprocess
import sys

import jax
import numpy as np
import pytest

import lpips_jax
from lpips_jax import pretrained
from lpips_jax.core.errors import UserError
from lpips_jax.dubbing import Dubber, generator
from lpips_jax.evaluation import scorers
from lpips_jax.interop.convert import convert
from lpips_jax.interop.export import export

RNG = np.random.default_rng(0)
ALONE = """
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


def test_stablehlo_runs_without_this_project(trained_checkpoint, tmp_path):
  export(trained_checkpoint, tmp_path / 'out', 'stablehlo', True)
  network, inputs = pretrained.load(trained_checkpoint), {}
  for n in (1, 7, 64):
    inputs[f'faces_{n}'], inputs[f'mels_{n}'] = examples(network.config, n)
  np.savez(tmp_path / 'inputs.npz', **inputs)
  files = [str(tmp_path / name) for name in ('out', 'inputs.npz', 'results.npz')]
  subprocess.run([sys.executable, '-c', ALONE, *files], check=True, cwd=tmp_path, capture_output=True)
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


def test_programs_of_others_run_only_where_they_are_trusted(tmp_path, monkeypatch):
  """They are not even read: to deserialise is to hand them to XLA."""
  monkeypatch.setattr(pretrained, '_read_exported', None)
  (tmp_path / 'hlo').mkdir()
  (tmp_path / 'hlo' / 'model.stablehlo').write_bytes(b'a program')
  named = str(tmp_path / 'hlo')
  for load in (lpips_jax.load, pretrained.load, generator.load_generator, lambda path: Dubber(path).generator):
    with pytest.raises(UserError, match=r'is StableHLO, a program.*: if you trust where it is from, add') as caught:
      load(named)
    assert '\n' not in str(caught.value)
  with pytest.raises(UserError, match='add --trust_stablehlo'):
    scorers.load_scorers('none', named, None, None)
  for load in (pretrained.load_weights, pretrained.load_expert, pretrained.load_silent):
    with pytest.raises(UserError, match='give the checkpoint directory that it is made of'):
      load(named)
  with pytest.raises(UserError, match='give the checkpoint directory'):
    export(named, tmp_path / 'out', 'orbax')
  with pytest.raises(UserError, match='take it as it is, with --trust_stablehlo'):
    convert(tmp_path / 'hlo', tmp_path / 'out')
  assert [path.name for path in tmp_path.iterdir()] == ['hlo']


def test_onnx(trained_checkpoint, tmp_path):
  pytest.importorskip('jax2onnx')
  import onnxruntime

  export(trained_checkpoint, tmp_path / 'out', 'onnx', True)
  network, session = pretrained.load(trained_checkpoint), onnxruntime.InferenceSession(tmp_path / 'out' / 'model.onnx')
  for n in (1, 7, 64):
    faces, mels = examples(network.config, n)
    (made,) = session.run(None, {'faces': faces, 'mels': mels})
    np.testing.assert_allclose(made, network(faces, mels), atol=5e-6)


def test_damaged_exports_are_one_line(trained_checkpoint, tmp_path):
  export(trained_checkpoint, tmp_path / 'out', 'safetensors')
  whole = (tmp_path / 'out' / 'model.safetensors').read_bytes()
  for k, content in enumerate((b'', whole[:1000], whole[:-7], b'x' * 500, b'\xff' * 8 + whole[8:])):
    path = tmp_path / f'{k}.safetensors'
    path.write_bytes(content)
    with pytest.raises(UserError, match='damaged'):
      convert(path, tmp_path / 'back')
  export(trained_checkpoint, tmp_path / 'program', 'stablehlo')
  program = tmp_path / 'program' / 'model.stablehlo'
  content = bytearray(program.read_bytes())
  content[len(content) // 2] ^= 1
  program.write_bytes(content)
  with pytest.raises(UserError, match=r'model\.stablehlo is not what model\.json was written for'):
    pretrained.load(tmp_path / 'program', trust_stablehlo=True)
  (tmp_path / 'hlo').mkdir()
  (tmp_path / 'hlo' / 'model.stablehlo').write_bytes(b'nothing')
  with pytest.raises(UserError, match='damaged or incomplete'):
    pretrained.load(tmp_path / 'hlo', trust_stablehlo=True)
  assert not (tmp_path / 'back').exists()


def test_nothing_is_overwritten_or_left(trained_checkpoint, tmp_path):
  (tmp_path / 'out').mkdir()
  with pytest.raises(UserError, match='is there already'):
    export(trained_checkpoint, tmp_path / 'out', 'orbax')
  with pytest.raises(UserError, match='does not exist'):
    export(tmp_path / 'none', tmp_path / 'new', 'orbax')
  assert [path.name for path in tmp_path.iterdir()] == ['out']
