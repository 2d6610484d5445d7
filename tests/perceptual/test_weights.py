"""Weights of LPIPS: files that fit, that are damaged, or that are others', and lpips-j with a hub that is not there."""

import hashlib
import sys
import warnings

import h5py
import huggingface_hub
import jax
import numpy as np
import pytest

from lpips_jax.core.errors import UserError
from lpips_jax.core.files import shown
from lpips_jax.perceptual import load_weights, lpips, random_weights
from lpips_jax.perceptual import weights as module
from lpips_jax.perceptual.vgg import BLOCKS, FEATURES, layer_shapes
from lpips_jax.perceptual.weights import HUB_FILES, HUB_REPOSITORY, HUB_REVISIONS, TORCH_FILES
from lpips_jax.storage import staging, stores


@pytest.fixture(scope='module')
def synthetic():
  """Weights of VGG16's shape whose every number matters: biases and linear weights are drawn too."""
  weights = random_weights(seed=3)
  rng = np.random.default_rng(4)
  for layer in weights['vgg'].values():
    layer['bias'] = rng.uniform(-0.3, 0.3, layer['bias'].shape).astype(np.float32)
  for name, linear in weights['linear'].items():
    weights['linear'][name] = rng.uniform(0, 1, linear.shape).astype(np.float32)
  return weights


@pytest.fixture(autouse=True)
def released(synthetic, monkeypatch):
  """As if the drawn linear weights were those that were released."""
  numbers = b''.join(synthetic['linear'][name].astype('<f4').tobytes() for name in FEATURES)
  monkeypatch.setattr(module, 'LINEAR_SHA256', hashlib.sha256(numbers).hexdigest())


@pytest.fixture(scope='module')
def h5_files(synthetic, tmp_path_factory):
  directory = tmp_path_factory.mktemp('lpips_j')
  with h5py.File(directory / HUB_FILES[0], 'w') as file:
    for name, layer in synthetic['vgg'].items():
      file[f'{name}/weight'], file[f'{name}/bias'] = layer['kernel'], layer['bias']
  write_linear(directory / HUB_FILES[1], synthetic['linear'])
  return directory


def write_linear(path, linear):
  with h5py.File(path, 'w') as file:
    for i, name in enumerate(FEATURES):
      file[f'lin{i}'] = linear[name].reshape(1, 1, -1, 1)


@pytest.fixture
def directory(h5_files, tmp_path):
  """A directory with the same files, in which a test may leave what it likes."""
  for name in HUB_FILES:
    (tmp_path / name).symlink_to(h5_files / name)
  return tmp_path


def images(seed):
  return np.random.default_rng(seed).uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32)


def lpips_j():
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    import lpips_j.lpips
  return lpips_j.lpips


def test_matches_lpips_j_on_the_same_files(h5_files, directory, monkeypatch):
  oracle = lpips_j()
  monkeypatch.setattr(oracle, 'hf_hub_download', lambda repo_id, filename: str(h5_files / filename))
  x, y = images(0), images(1)
  expected, _ = oracle.LPIPS().init_with_output(jax.random.key(0), x, y)
  actual = jax.jit(lpips)(x, y, load_weights(str(directory)))
  np.testing.assert_allclose(actual, expected.reshape(-1), atol=1e-5)
  assert (actual > 0.05).all()


def test_torch_files_give_the_same_weights(synthetic, tmp_path, monkeypatch):
  torch = pytest.importorskip('torch')
  indices = [i for i, layer in enumerate(torch_layers()) if layer == 'conv']
  state = {}
  for index, layer in zip(indices, synthetic['vgg'].values(), strict=True):
    state[f'features.{index}.weight'] = torch.tensor(layer['kernel'].transpose(3, 2, 0, 1).copy())
    state[f'features.{index}.bias'] = torch.tensor(layer['bias'])
  linear = {
    f'lin{i}.model.1.weight': torch.tensor(synthetic['linear'][name])[None, :, None, None]
    for i, name in enumerate(FEATURES)
  }
  torch.save(linear, tmp_path / 'vgg.pth')
  torch.save(state, tmp_path / 'vgg16-397923af.pth')
  with pytest.raises(UserError, match='its digest is not 397923af…; delete it and get it again'):
    load_weights(str(tmp_path))
  for name in TORCH_FILES:
    monkeypatch.setitem(module.SHA256, name, hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
  jax.tree.map(np.testing.assert_array_equal, load_weights(str(tmp_path)), synthetic)
  assert {path.name for path in tmp_path.iterdir()} == set(TORCH_FILES)


@pytest.mark.parametrize('name', TORCH_FILES)
def test_other_files_of_their_names_are_not_even_opened(name, tmp_path):
  """Their digests are public: other files of their names are refused before they are parsed, and without PyTorch."""
  for each in TORCH_FILES:
    (tmp_path / each).write_bytes(b'something else')
  with pytest.raises(UserError, match='is damaged, or another file'):
    module._check_digest(tmp_path / name)


def torch_layers():
  """torchvision's vgg16().features: each convolution with its ReLU, each block with its pooling."""
  for block in BLOCKS:
    yield from ('conv', 'relu') * len(block)
    yield 'pool'


def test_a_file_that_changed_after_its_first_use_is_refused(directory, synthetic):
  load_weights(str(directory))
  assert (directory / f'{HUB_FILES[1]}.sha256').read_text().endswith(f'  {HUB_FILES[1]}\n')
  load_weights(str(directory))
  (directory / HUB_FILES[1]).unlink()
  write_linear(directory / HUB_FILES[1], {name: 2 * linear for name, linear in synthetic['linear'].items()})
  with pytest.raises(UserError, match='has changed since its first use'):
    load_weights(str(directory))


def test_linear_weights_of_others_are_refused_whatever_file_they_are_in(directory, synthetic):
  (directory / HUB_FILES[1]).unlink()
  changed = {name: linear.copy() for name, linear in synthetic['linear'].items()}
  changed['relu5_3'][-1] += 1e-6
  write_linear(directory / HUB_FILES[1], changed)
  with pytest.raises(UserError, match=r'linear weights are not those of lpips 0\.1; put vgg16_weights\.h5'):
    load_weights(str(directory))


@pytest.fixture
def hub(h5_files, tmp_path, monkeypatch):
  """A hub's cache, and all that is asked of it.

  The hub keeps a large file under its SHA-256, a small one under Git's SHA-1, and links the readable name to it.
  """
  asked = []

  def download(repo_id, filename, revision, **_):
    asked.append((repo_id, filename, revision))
    return str(tmp_path / filename)

  for name in HUB_FILES:
    content = (h5_files / name).read_bytes()
    digest = hashlib.sha256(content) if name == HUB_FILES[0] else hashlib.sha1(b'blob %d\0' % len(content) + content)
    (tmp_path / digest.hexdigest()).write_bytes(content)
    (tmp_path / name).symlink_to(tmp_path / digest.hexdigest())
  monkeypatch.setattr(module, 'DEFAULT_DIRECTORY', tmp_path / 'nothing')
  monkeypatch.setattr(huggingface_hub, 'hf_hub_download', download)
  return asked


def test_lpips_j_opens_its_files_at_the_pinned_revision(hub, synthetic, tmp_path, monkeypatch):
  oracle = lpips_j()
  monkeypatch.setattr(oracle, 'hf_hub_download', lambda **_: pytest.fail('lpips-j downloads what it likes'))
  opened = []
  monkeypatch.setattr(oracle.h5py, 'File', lambda path, *mode, file=h5py.File: opened.append(path) or file(path, *mode))
  jax.tree.map(np.testing.assert_array_equal, load_weights(), synthetic)
  assert hub == [(HUB_REPOSITORY, name, HUB_REVISIONS.get(name)) for name in HUB_FILES]
  assert sorted(opened) == sorted(str(tmp_path / name) for name in HUB_FILES)
  with pytest.raises(pytest.fail.Exception, match='what it likes'):  # it is left as it was
    oracle.LPIPS().bind({}).lins  # noqa: B018


def test_lpips_j_is_imported_only_where_no_files_are_at_hand(hub, synthetic, tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, 'lpips_j', None)
  (tmp_path / 'own').mkdir()
  module.write_weights(tmp_path / 'own', synthetic)
  load_weights(str(tmp_path / 'own'))
  with pytest.raises(UserError, match=r'lpips-j.* cannot be imported .*: install it again, or put vgg16_weights\.h5'):
    load_weights()


def test_the_hubs_cache_is_used_and_checked_against_its_own_digests(hub, tmp_path):
  load_weights()
  assert not list(tmp_path.glob('*.sha256'))
  assert hub == [(HUB_REPOSITORY, name, HUB_REVISIONS.get(name)) for name in HUB_FILES]
  assert len(HUB_REVISIONS[HUB_FILES[0]]) == 40  # a commit, not a branch that moves
  for name in HUB_FILES:
    blob = (tmp_path / name).resolve()
    whole = blob.read_bytes()
    blob.write_bytes(whole[:-8] + bytes(8) if any(whole[-8:]) else whole[:-8] + b'x' * 8)
    with pytest.raises(UserError, match='is damaged, or another file'):
      load_weights()
    blob.write_bytes(whole)
  load_weights()


def test_without_files_or_network_one_line_says_what_to_do(tmp_path, monkeypatch):
  def no_network(*_, **__):
    raise OSError('no network')

  monkeypatch.setattr('lpips_jax.perceptual.weights.DEFAULT_DIRECTORY', tmp_path)
  monkeypatch.setattr(huggingface_hub, 'hf_hub_download', no_network)
  monkeypatch.setattr('urllib.request.urlopen', no_network)
  with pytest.raises(UserError) as error:
    load_weights()
  message = str(error.value)
  assert '\n' not in message
  assert all(part in message for part in (*HUB_FILES, 'vgg16-397923af.pth', 'vgg.pth', str(tmp_path)))


def test_an_empty_directory_is_refused(tmp_path):
  with pytest.raises(UserError, match=r'no LPIPS weights in .*: put vgg16_weights\.h5'):
    load_weights(str(tmp_path))


def test_files_of_another_kind_are_refused(directory, synthetic):
  linear_file = directory / HUB_FILES[1]
  linear_file.unlink()
  linear_file.write_text('not an HDF5 file')
  with pytest.raises(UserError, match='no weight file of LPIPS'):
    load_weights(str(directory))
  (directory / f'{HUB_FILES[1]}.sha256').unlink()
  write_linear(linear_file, {name: -linear for name, linear in synthetic['linear'].items()})
  with pytest.raises(UserError, match='linear weights of relu1_2 are not 64 non-negative numbers'):
    load_weights(str(directory))


def test_random_weights_say_that_they_are_not_lpips(caplog):
  weights = load_weights('random', width=1 / 8, seed=5)
  assert 'is not LPIPS' in caplog.text
  jax.tree.map(np.testing.assert_array_equal, weights, random_weights(5, 1 / 8))
  assert weights['vgg']['conv5_3']['kernel'].shape == layer_shapes(1 / 8)['conv5_3'] == (3, 3, 64, 64)
  assert all((linear >= 0).all() for linear in weights['linear'].values())
  assert np.abs(weights['vgg']['conv1_1']['kernel'] - random_weights(6, 1 / 8)['vgg']['conv1_1']['kernel']).max() > 0.1


def test_weights_may_be_in_a_bucket(gs_bucket):
  url = f'{gs_bucket.url}/lpips'
  stores.write(f'{url}/notes.txt', b'others')
  with pytest.raises(UserError, match='no LPIPS weights in ') as missing:
    load_weights(url)
  assert url in shown(str(missing.value))
  for name in TORCH_FILES:
    stores.write(f'{url}/{name}', b'damaged')
  with pytest.raises(UserError, match='is damaged, or another file') as damaged:
    load_weights(url)
  assert f'{url}/{TORCH_FILES[0]}' in shown(str(damaged.value))
  assert not (staging.place_of(url) / 'notes.txt').exists()
