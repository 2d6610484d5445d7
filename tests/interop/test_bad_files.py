"""Files that are damaged, foreign or malicious: each is one line, runs nothing and leaves nothing."""

import gzip
import os
import pickle
import zipfile

import jax
import numpy as np
import pytest

torch = pytest.importorskip('torch')

from benchmarks.torch_reference.released import Discriminator
from lpips_jax.core.errors import UserError
from lpips_jax.interop import correspondence
from lpips_jax.interop.convert import convert

MARK = 'binary_pred.0.weight'


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
  """What converting it says."""
  before = sorted(path.parent.rglob('*'))
  with pytest.raises(UserError) as caught:
    convert(path, destination, trust)
  assert sorted(path.parent.rglob('*')) == before and '\n' not in str(caught.value)
  return str(caught.value)


@pytest.mark.parametrize('share', [0, 0.001, 0.3, 0.6, 0.99, 0.999999])
def test_truncated(share, whole, tmp_path):
  (tmp_path / 'file.pth').write_bytes(whole[: int(share * len(whole))])
  assert 'damaged' in refused(tmp_path / 'file.pth', tmp_path / 'out')


@pytest.mark.parametrize('place', [0, 10, 0.0005, -200, -30])
def test_overwritten(place, whole, tmp_path):
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
def test_foreign(content, tmp_path):
  (tmp_path / 'file.pth').write_bytes(content)
  refused(tmp_path / 'file.pth', tmp_path / 'out')


@pytest.mark.parametrize('how', ['pickle', 'legacy', 'zip', 'beside weights', 'in the archive', 'trusted'])
def test_malicious_is_not_executed(how, state, tmp_path):
  trace, path = tmp_path / 'trace', tmp_path / 'file.pth'
  if how == 'pickle':
    path.write_bytes(pickle.dumps(Malicious(trace)))
  elif how == 'legacy':
    torch.save({'state_dict': Malicious(trace)}, path, _use_new_zipfile_serialization=False)
  elif how == 'in the archive':
    with zipfile.ZipFile(path, 'w') as archive:
      archive.writestr('weights/data.pkl', pickle.dumps(Malicious(trace)))
      archive.writestr('weights/version', '3\n')
  else:
    torch.save({'state_dict': dict(state), 'optimizer': Malicious(trace)}, path)
  assert 'never executed' in refused(path, tmp_path / 'out', trust=how == 'trusted')
  assert not trace.exists()


@pytest.mark.parametrize('version', ['2.5.1', '2.6.0+cpu', '2.9.1', '1.13', '2.9.0a0+git1'])
@pytest.mark.parametrize('kind', ['weights', 'script'])
def test_versions_that_execute_what_they_read_are_not_asked_to(version, kind, whole, tmp_path, monkeypatch):
  path = tmp_path / 'file.pth'
  path.write_bytes(whole)
  if kind == 'script':
    torch.jit.script(torch.nn.Linear(1, 1)).save(path)
  monkeypatch.setattr(torch, '__version__', version)
  for name in ('load', 'jit.load'):
    monkeypatch.setattr(f'torch.{name}', None)
  assert 'get 2.10 or newer' in refused(path, tmp_path / 'out', trust=True)


@pytest.mark.parametrize(
  ('change', 'said'),
  [
    (lambda state: state.pop('face_encoder_blocks.3.1.conv_block.0.bias'), 'missing: face_encoder_blocks.3.1.conv_bl'),
    (lambda state: state.update(extra=torch.zeros(3)), 'surplus: extra'),
    (lambda state: state.update({MARK: torch.zeros(1, 512, 3, 3)}), f'of another shape: {MARK}'),
    (lambda state: state.update({MARK: torch.zeros(512)}), f'of another shape: {MARK}'),
    (lambda state: state.update({MARK: torch.full((1, 512, 1, 1), torch.nan)}), f'{MARK} is not finite'),
    (lambda state: state.update(note='trained with love'), "'note' is not the name of a tensor"),
    (lambda state: state.update({3: torch.zeros(3)}), "'3' is not the name of a tensor"),
    (lambda state: state.pop(MARK), 'no network known here'),
    (lambda state: [state.pop(key) for key in list(state) if key != MARK], 'and 15 more'),
    (lambda state: (state.clear(), state.update({'layer1.0.conv1.weight': torch.zeros(1)})), "but 'layer1.0.conv1"),
    (
      lambda state: (state.clear(), state.update({'features.0.weight': torch.zeros(1)})),
      'one of the two files of LPIPS',
    ),
    (lambda state: state.clear(), 'no state dict'),
  ],
)
def test_other_networks(change, said, state, tmp_path):
  changed = dict(state)
  change(changed)
  torch.save(changed, tmp_path / 'file.pth')
  assert said in refused(tmp_path / 'file.pth', tmp_path / 'out')


@pytest.mark.parametrize(('bias', 'said'), [({}, 'missing: {}'), ({'bias': np.zeros(2)}, 'of another shape: {}, ')])
def test_a_mean_takes_the_bias_before_it(bias, said):
  block = 'face_encoder.0.conv_block'
  shapes = {'batch_stats': {'face_encoder': {'stem': {'norm': {'mean': jax.ShapeDtypeStruct((3,), np.float32)}}}}}
  state = {f'{block}.1.running_mean': np.array([1, 2, 3]), f'{block}.0.bias': np.array([3, 0, 1])}
  [mean] = jax.tree.leaves(correspondence.converted(shapes, correspondence.sync_expert, state))
  assert mean.tolist() == [-2, 2, 2]
  changed = {f'{block}.1.running_mean': np.zeros(3)} | {f'{block}.0.{name}': x for name, x in bias.items()}
  with pytest.raises(UserError, match=f'^{said.format(f"{block}.0.bias")}'):
    correspondence.converted(shapes, correspondence.sync_expert, changed)


def test_torchscript_needs_trust(state, tmp_path):
  network = Discriminator()
  network.load_state_dict(state)
  torch.jit.trace(network.eval(), torch.zeros(1, 3, 48, 96)).save(tmp_path / 'file.pt')
  assert '--trust_torchscript' in refused(tmp_path / 'file.pt', tmp_path / 'out')
  torch.save(state, tmp_path / 'file.pth')
  convert(tmp_path / 'file.pt', tmp_path / 'script', trust_torchscript=True)
  convert(tmp_path / 'file.pth', tmp_path / 'plain')


def test_what_is_not_there_and_what_is(whole, tmp_path):
  assert 'is not there' in refused(tmp_path / 'file.pth', tmp_path / 'out')
  (tmp_path / 'empty').mkdir()
  assert 'no LPIPS weights' in refused(tmp_path / 'empty', tmp_path / 'out')
  (tmp_path / 'file.pth').write_bytes(whole)
  assert 'there already' in refused(tmp_path / 'file.pth', tmp_path / 'empty')
