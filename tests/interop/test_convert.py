"""Files are recognised and converted; those that are damaged, foreign or malicious are one line, and leave nothing."""

import gzip
import hashlib
import os
import pickle
import zipfile

import jax
import numpy as np
import pytest

torch = pytest.importorskip('torch')

import torch_networks
from torch_networks import save_released

from benchmarks.torch_reference.released import Discriminator, Vgg16
from lpips_jax import perceptual, pretrained
from lpips_jax.core.errors import UserError
from lpips_jax.interop.convert import convert

MARKER_KEY = 'binary_pred.0.weight'


class Malicious:
  """Unpickled, it would leave a file."""

  def __init__(self, trace):
    self.trace = str(trace)

  def __reduce__(self):
    return os.mkdir, (self.trace,)


@pytest.fixture(scope='module')
def state():
  torch.manual_seed(0)
  return Discriminator().state_dict()


@pytest.fixture(scope='module')
def whole(state, tmp_path_factory):
  path = tmp_path_factory.mktemp('whole') / 'weights.pth'
  torch.save(state, path)
  return path.read_bytes()


def refused(path, destination, trust=False):
  """The message of an attempt to convert a file."""
  before = sorted(path.parent.rglob('*'))
  with pytest.raises(UserError) as caught:
    convert(path, destination, trust)
  assert sorted(path.parent.rglob('*')) == before and '\n' not in str(caught.value)
  return str(caught.value)


@pytest.mark.parametrize('share', [0, 0.001, 0.3, 0.6, 0.99, 0.999999])
def test_a_truncated_file_is_damaged(share, whole, tmp_path):
  (tmp_path / 'file.pth').write_bytes(whole[: int(share * len(whole))])
  assert 'damaged' in refused(tmp_path / 'file.pth', tmp_path / 'out')


@pytest.mark.parametrize('place', [0, 10, 0.0005, -200, -30])
def test_an_overwritten_file_is_damaged(place, whole, tmp_path):
  start = int(place * len(whole)) if isinstance(place, float) else place % len(whole)
  (tmp_path / 'file.pth').write_bytes(whole[:start] + bytes(range(200, 230)) + whole[start + 30 :])
  assert 'damaged' in refused(tmp_path / 'file.pth', tmp_path / 'out')


@pytest.mark.parametrize(
  'content',
  [
    b'hello',
    b'\0' * 1000,
    b'PK\x03\x04' + b'\0' * 100,
    b'\x80\x02}q\x00.',
    pickle.dumps([1, 2]),
    gzip.compress(b'weights'),
    np.random.default_rng(0).bytes(5000),
    b'<html>404</html>',
  ],
  ids=['text', 'zeros', 'zip header', 'empty dict', 'list', 'gzip', 'noise', 'page'],
)
def test_foreign_files_are_refused(content, tmp_path):
  (tmp_path / 'file.pth').write_bytes(content)
  refused(tmp_path / 'file.pth', tmp_path / 'out')


@pytest.mark.parametrize('how', ['pickle', 'legacy', 'zip', 'beside weights', 'in the archive', 'trusted'])
def test_a_malicious_file_is_not_executed(how, state, tmp_path):
  trace, path = tmp_path / 'trace', tmp_path / 'file.pth'
  if how == 'pickle':
    path.write_bytes(pickle.dumps(Malicious(trace)))
  elif how == 'legacy':
    torch.save({'state_dict': Malicious(trace)}, path, _use_new_zipfile_serialization=False)
  elif how == 'zip':
    torch.save({'state_dict': Malicious(trace)}, path)
  elif how == 'in the archive':
    with zipfile.ZipFile(path, 'w') as archive:
      archive.writestr('weights/data.pkl', pickle.dumps(Malicious(trace)))
      archive.writestr('weights/version', '3\n')
  else:
    torch.save({'state_dict': dict(state), 'optimizer': Malicious(trace)}, path)
  if how in ('beside weights', 'trusted'):
    assert "Wav2Lip's discriminator" in convert(path, tmp_path / 'out', how == 'trusted')
  else:
    assert 'never executed' in refused(path, tmp_path / 'out')
  assert not trace.exists()


@pytest.mark.parametrize('version', ['2.5.1', '2.6.0+cpu', '2.9.1', '1.13', '2.9.0a0+git1'])
def test_old_versions_of_pytorch_which_execute_files_read_none(version, tmp_path, monkeypatch):
  path = tmp_path / 'file.pth'
  torch.jit.script(torch.nn.Linear(1, 1)).save(path)
  monkeypatch.setattr(torch, '__version__', version)
  monkeypatch.setattr('torch.jit.load', None)
  assert 'get 2.10 or newer' in refused(path, tmp_path / 'out', trust=True)


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    (lambda state: state.pop('face_encoder_blocks.3.1.conv_block.0.bias'), 'missing: face_encoder_blocks.3.1.conv_bl'),
    (lambda state: state.update(extra=torch.zeros(3)), 'surplus: extra'),
    (lambda state: state.update({MARKER_KEY: torch.zeros(1, 512, 3, 3)}), f'of another shape: {MARKER_KEY}'),
    (lambda state: state.update({MARKER_KEY: torch.zeros(512)}), f'of another shape: {MARKER_KEY}'),
    (lambda state: state.update({MARKER_KEY: torch.full((1, 512, 1, 1), torch.nan)}), f"'{MARKER_KEY}' is not finite"),
    (lambda state: state.update(note='trained with love'), "'note' is not the name of a tensor"),
    (lambda state: state.update({3: torch.zeros(3)}), "'3' is not the name of a tensor"),
    (lambda state: state.pop(MARKER_KEY), 'no network known here'),
    (lambda state: [state.pop(key) for key in list(state) if key != MARKER_KEY], 'and 15 more'),
    (lambda state: (state.clear(), state.update({'layer1.0.conv1.weight': torch.zeros(1)})), "but 'layer1.0.conv1"),
    (
      lambda state: (state.clear(), state.update({'features.0.weight': torch.zeros(1)})),
      'one of the two files of LPIPS',
    ),
    (lambda state: state.clear(), 'no state dict'),
  ],
)
def test_other_networks_are_named_with_their_keys(change, message, state, tmp_path):
  changed = dict(state)
  change(changed)
  torch.save(changed, tmp_path / 'file.pth')
  assert message in refused(tmp_path / 'file.pth', tmp_path / 'out')


def test_torchscript_needs_trust(state, tmp_path):
  network = Discriminator()
  network.load_state_dict(state)
  torch.jit.trace(network.eval(), torch.zeros(1, 3, 48, 96)).save(tmp_path / 'file.pt')
  assert 'trust_torchscript' in refused(tmp_path / 'file.pt', tmp_path / 'out')
  torch.save(state, tmp_path / 'file.pth')
  convert(tmp_path / 'file.pt', tmp_path / 'script', trust_torchscript=True)
  convert(tmp_path / 'file.pth', tmp_path / 'plain')


def test_the_source_must_exist_and_the_destination_must_not(whole, tmp_path):
  assert 'is not there' in refused(tmp_path / 'file.pth', tmp_path / 'out')
  (tmp_path / 'empty').mkdir()
  assert 'no LPIPS weights' in refused(tmp_path / 'empty', tmp_path / 'out')
  (tmp_path / 'file.pth').write_bytes(whole)
  assert 'there already' in refused(tmp_path / 'file.pth', tmp_path / 'empty')


def test_checkpoints_and_programs_need_no_conversion(tmp_path):
  (tmp_path / 'config.json').write_text('{}')
  with pytest.raises(UserError, match='needs no conversion'):
    convert(tmp_path, tmp_path / 'out')
  (tmp_path / 'model.stablehlo').touch()
  with pytest.raises(UserError, match='take it as it is, with trust_stablehlo=True'):
    convert(tmp_path, tmp_path / 'out')


def test_a_converted_network_is_a_checkpoint_with_its_step_and_card(state, tmp_path):
  torch.save({'state_dict': state, 'global_step': 7}, tmp_path / 'file.pth')
  assert convert(tmp_path / 'file.pth', tmp_path / 'out').startswith("Wav2Lip's discriminator, ")
  network = pretrained.load(tmp_path / 'out')
  assert network.config.task == 'discriminator' and network.step == 7
  assert 'arXiv 2008.10010' in (tmp_path / 'out' / 'MODEL_CARD.md').read_text()


@torch.no_grad()
def test_the_two_files_of_lpips(tmp_path, monkeypatch):
  # Random weights have other names and digests than those that were released.
  monkeypatch.setattr(perceptual.weights, 'TORCH_FILES', ('vgg16.pth', 'linear.pth'))
  vgg = save_released(Vgg16(), tmp_path / 'vgg16.pth')
  linear = torch_networks.LinearWeights().eval()
  for parameter in linear.parameters():
    parameter.uniform_(0, 1)
  torch.save(linear.state_dict(), tmp_path / 'linear.pth')
  numbers = b''.join(parameter.detach().numpy().tobytes() for parameter in linear.parameters())
  monkeypatch.setattr(perceptual.weights, 'LINEAR_SHA256', hashlib.sha256(numbers).hexdigest())
  assert 'LPIPS' in convert(tmp_path, tmp_path / 'converted')
  x, y = np.random.default_rng(0).uniform(-1, 1, (2, 2, 64, 64, 3)).astype(np.float32)
  expected = torch_networks.lpips(vgg, linear, *(torch.from_numpy(z.transpose(0, 3, 1, 2)) for z in (x, y)))
  weights = perceptual.load_weights(str(tmp_path / 'converted'))
  with jax.default_matmul_precision('highest'):
    ours = jax.jit(perceptual.lpips)(x, y, weights)
  assert float(expected.min()) > 0.01
  np.testing.assert_allclose(ours, expected, atol=1e-4)
