"""Files of torch.save are read as PyTorch reads them, and hostile ones are one line."""

import pickle
import struct
import zipfile
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest

from lpips_jax.core.errors import UserError
from lpips_jax.core.inert_pickle import Name, load
from lpips_jax.core.torch_files import RULES, read_state

ONES = np.ones(6, '<f4').tobytes()


def text(value):
  return b'X' + struct.pack('<I', len(value)) + value.encode()


def number(value):
  return f'I{value}\n'.encode()


def several(*values):
  return b'(' + b''.join(values) + b't'


def storage(key='0', size=6, kind=b'ctorch\nFloatStorage\n'):
  return several(text('storage'), kind, text(key), text('cpu'), number(size)) + b'Q'


def tensor(shape=(6,), strides=(1,), offset=0, of=None):
  parts = of or storage(), number(offset), several(*map(number, shape)), several(*map(number, strides))
  return b'ctorch._utils\n_rebuild_tensor_v2\n' + several(*parts, b'\x89', b'}') + b'R'


def state_dict(value, name='a'):
  return b'\x80\x02}' + text(name) + value + b's.'


def written(path, pickled, numbers=None, compression=zipfile.ZIP_STORED, **others):
  with zipfile.ZipFile(path, 'w', compression) as archive:
    archive.writestr('archive/data.pkl', pickled)
    for key, content in ({'0': ONES} if numbers is None else numbers).items():
      archive.writestr(f'archive/data/{key}', content)
    for name, content in others.items():
      archive.writestr(f'archive/{name}', content)
  return path


def refused(path):
  with pytest.raises(UserError) as caught:
    read_state(path)
  assert '\n' not in str(caught.value) and len(str(caught.value)) < 500
  return str(caught.value)


def test_a_file_written_by_hand(tmp_path):
  numbers = {'0': np.arange(6, dtype='<f4').tobytes()}
  found, step = read_state(written(tmp_path / 'x', state_dict(tensor((2, 2), (1, 2), 1)), numbers))
  np.testing.assert_array_equal(found['a'], [[1, 3], [2, 4]])
  assert step == 0 and found['a'].dtype == np.float32


@pytest.mark.parametrize(
  ('of', 'message'),
  [
    (tensor((7,)), 'lies outside'),
    (tensor((2,), (6,)), 'lies outside'),
    (tensor((2,), (-1,), 3), 'lies outside'),
    (tensor((-2,)), 'lies outside'),
    (tensor((2,), (1,), 5), 'lies outside'),
    (tensor((2,), (1,), -1), 'lies outside'),
    (tensor((10**12,), (0,)), 'more numbers'),
    (tensor((2**62, 2**62), (0, 0)), 'more numbers'),
    (tensor((12,), (0,)), 'lies outside'),
    (tensor((1,) * 40, (1,) * 40), 'not the name of a tensor'),
    (tensor((2, 2), (1,)), 'not the name of a tensor'),
    (tensor(of=storage(size=7)), 'has 6 numbers, not 7'),
    (tensor(of=storage(size=2**62)), 'has 6 numbers'),
    (tensor(of=storage(size=2**64)), 'not the name of a tensor'),
    (tensor((2**64,)), 'not the name of a tensor'),
    (tensor(of=storage(size=-1)), 'has 6 numbers'),
    (tensor(of=storage(key='1')), 'damaged'),
    (tensor(of=storage(key='../data.pkl')), 'damaged'),
    (tensor(of=storage(kind=b'cos\nsystem\n')), 'not the name of a tensor'),
    (tensor(of=storage(kind=b'ctorch\nload\n')), 'not the name of a tensor'),
    (
      tensor(of=several(text('storage'), b'I3\n', text('0'), text('cpu'), number(6)) + b'Q'),
      'not the name of a tensor',
    ),
    (tensor(of=b'}Q'), 'not the name of a tensor'),
    (tensor(of=text('storage') + b'Q'), 'not the name of a tensor'),
    (b'ctorch._utils\n_rebuild_tensor_v2\n)R', 'not the name of a tensor'),
    (b'ctorch._utils\n_rebuild_tensor_v2\n}R', 'not the name of a tensor'),
    (b'ctorch._utils\n_rebuild_parameter\n)R', 'not the name of a tensor'),
    (b'cos\nsystem\n' + several(text('mkdir trace')) + b'R', 'not the name of a tensor'),
    (b'ccollections\nOrderedDict\nI3\n\x85R', 'not the name of a tensor'),
  ],
)
def test_tensors_that_are_not_there_are_one_line(of, message, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert message in refused(written(tmp_path / 'x', state_dict(of)))
  assert [path.name for path in tmp_path.iterdir()] == ['x']


@pytest.mark.parametrize(
  'pickled',
  [
    b'',
    b'\x80\x02}.',
    b'\x80\x02].',
    b'cos\nsystem\n' + several(text('mkdir trace')) + b'R.',
    b'\x80\x02}' + text('state_dict') + b'cos\nsystem\n' + several(text('mkdir trace')) + b'Rs.',
    b'ccollections\nOrderedDict\n]I1\na\x85R.',
    b'.' * 10,
  ],
)
def test_files_without_weights_are_one_line(pickled, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert 'never executed' in refused(written(tmp_path / 'x', pickled))
  assert [path.name for path in tmp_path.iterdir()] == ['x']


def test_archives_that_pytorch_does_not_write_are_refused(tmp_path):
  bomb = {'0': bytes(10**7)}
  packed = written(tmp_path / 'packed', state_dict(tensor()), bomb, zipfile.ZIP_DEFLATED)
  assert 'compressed' in refused(packed)
  assert 'big-endian' in refused(written(tmp_path / 'big', state_dict(tensor()), byteorder='big'))
  with zipfile.ZipFile(tmp_path / 'two', 'w') as archive:
    archive.writestr('a/data.pkl', state_dict(tensor()))
    archive.writestr('b/data.pkl', state_dict(tensor()))
  assert 'damaged' in refused(tmp_path / 'two')


def test_overlapping_files_are_refused_before_they_are_read(tmp_path, monkeypatch):
  monkeypatch.setattr(zipfile.ZipFile, 'testzip', lambda archive: pytest.fail('it takes any time'))
  packed = written(tmp_path / 'packed', state_dict(tensor()), {'0': bytes(10**4)}, zipfile.ZIP_DEFLATED)
  assert 'compressed' in refused(packed)
  whole = written(tmp_path / 'x', state_dict(tensor()), {'0': bytes(10**4)}).read_bytes()
  with zipfile.ZipFile(tmp_path / 'x') as archive:
    start, count = archive.start_dir, 50
  end = whole.rindex(b'PK\5\6')
  last = whole[whole.rindex(b'PK\1\2') : end]
  listing = whole[start:end] + count * last
  tail = struct.pack('<4s4H2LH', b'PK\5\6', 0, 0, count + 2, count + 2, len(listing), start, 0)
  (tmp_path / 'x').write_bytes(whole[:start] + listing + tail)
  assert 'compressed' in refused(tmp_path / 'x')


def test_wrong_checksums_are_one_line_whatever_the_name(tmp_path):
  whole = written(tmp_path / 'x', state_dict(tensor()), {'a\nb\x1b': b'QQQQQQQQ'}).read_bytes()
  (tmp_path / 'x').write_bytes(whole.replace(b'QQQQQQQQ', b'QQQQQQQR'))
  assert 'checksum' in refused(tmp_path / 'x')


def test_names_in_messages_are_short_and_printable(tmp_path):
  numbers = {'0': np.full(6, np.nan, '<f4').tobytes()}
  message = refused(written(tmp_path / 'x', state_dict(tensor(), 'a\n\x1b' + 'b' * 1000), numbers))
  assert 'not finite' in message and message.isprintable()


def test_steps_of_axes_of_size_one_do_not_matter(tmp_path):
  found, _ = read_state(written(tmp_path / 'x', state_dict(tensor((1, 2), (2**62, 1)))))
  np.testing.assert_array_equal(found['a'], [[1, 1]])


def test_counters_alone_are_no_weights(tmp_path):
  assert 'no weights' in refused(written(tmp_path / 'x', state_dict(tensor(), 'bn.num_batches_tracked')))


@pytest.mark.parametrize(('kind', 'size'), [(b'ctorch\nByteStorage\n', 24), (b'ctorch\nFloatStorage\n', 5)])
def test_a_storage_has_one_type_and_size(kind, size, tmp_path):
  both = text('a') + tensor() + text('b') + tensor((1,), of=storage(size=size, kind=kind))
  assert 'several types' in refused(written(tmp_path / 'x', b'\x80\x02}(' + both + b'u.'))


@pytest.mark.parametrize(('step', 'found'), [(b'K\x07', 7), (b'\x88', 0), (b'I-1\n', 0), (number(2**64), 0)])
def test_steps_are_numbers_that_can_be_written(step, found, tmp_path):
  items = text('state_dict') + b'}' + text('a') + tensor() + b's' + text('global_step') + step
  assert read_state(written(tmp_path / 'x', b'\x80\x02}(' + items + b'u.'))[1] == found


def test_the_items_of_an_ordered_dict_are_not_copied_again_and_again(tmp_path):
  items = b'](X\x01\x00\x00\x00aK\x01\x86eq\x01'
  again = b'ccollections\nOrderedDict\nh\x01\x85R'
  first, second = RULES[Name('collections', 'OrderedDict')], load(BytesIO(items + again + again + b'\x86.'), RULES, str)
  assert first(([['b', 2]],)) == {'b': 2} and second == ({'a': 1}, {})


def test_many_names_of_one_storage_take_the_memory_of_one(tmp_path):
  items = b''.join(text(f'k{number}') + tensor() for number in range(8))
  found, _ = read_state(written(tmp_path / 'tied', b'\x80\x02}(' + items + b'u.'))
  assert len(found) == 8 and len({value.__array_interface__['data'][0] for value in found.values()}) == 1
  items += text('k8') + tensor()
  assert 'more numbers' in refused(written(tmp_path / 'bomb', b'\x80\x02}(' + items + b'u.'))


class Foreign:
  """A class that is not there where the file is read, as fairseq's are not."""

  def __init__(self):
    self.symbols = ['<s>', 'a']


@pytest.mark.parametrize('legacy', [False, True])
def test_pytorch_reads_the_same(legacy, tmp_path):
  torch = pytest.importorskip('torch')
  generator = torch.Generator().manual_seed(0)
  whole = torch.randn(4, 5, generator=generator)
  state = {
    'float': whole,
    'column': whole[:, 1],
    'transposed': whole.T,
    'tied': torch.nn.Parameter(whole),
    'double': whole.double(),
    'half': whole.half(),
    'bfloat16': whole.bfloat16(),
    'long': torch.arange(5),
    'scalar': torch.tensor(3),
    'bool': whole > 0,
    'bytes': torch.arange(5, dtype=torch.uint8),
    'empty': torch.zeros(0, 3),
    'bn.num_batches_tracked': torch.tensor(9),
  }
  saved = {'global_step': 7, 'args': SimpleNamespace(a=1), 'task': Foreign(), 'model': state}
  torch.save(saved, tmp_path / 'x', _use_new_zipfile_serialization=not legacy)
  found, step = read_state(tmp_path / 'x')
  assert step == 7 and set(found) == set(state) - {'bn.num_batches_tracked'}
  for key, value in found.items():
    np.testing.assert_array_equal(value, state[key].detach().float().numpy(), strict=True)


def test_state_dicts_of_data_parallel_lose_their_prefix(tmp_path):
  found, _ = read_state(written(tmp_path / 'x', state_dict(tensor(), 'module.a')))
  assert list(found) == ['a']


def legacy_file(*pickles, rest=b''):
  system = {'protocol_version': 1001, 'little_endian': True, 'type_sizes': {}}
  head = [pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, system)]
  return b''.join([*head, *pickles, rest])


@pytest.mark.parametrize('size', [6, 7, 2**60, -1])
def test_old_files_whose_storages_lie_are_one_line(size, tmp_path):
  keys = pickle.dumps(['0'], 2)
  content = legacy_file(state_dict(tensor()), keys, rest=struct.pack('<q', size) + ONES)
  (tmp_path / 'x').write_bytes(content)
  if size == 6:
    np.testing.assert_array_equal(read_state(tmp_path / 'x')[0]['a'], np.ones(6))
  else:
    assert 'damaged' in refused(tmp_path / 'x')


def test_storages_of_old_files_have_texts_as_names(tmp_path):
  nested = b'\x80\x02])' + b'2\x86' * 60 + b'a.'  # hashing it would take 2**60 steps
  (tmp_path / 'x').write_bytes(legacy_file(state_dict(tensor()), nested))
  assert 'a storage has no name' in refused(tmp_path / 'x')


def test_old_files_are_not_executed_either(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  evil = b'cos\nsystem\n' + several(text('mkdir trace')) + b'R.'
  for number, content in enumerate((evil, legacy_file(evil), legacy_file(state_dict(tensor()), evil))):
    (tmp_path / f'{number}').write_bytes(content)
    refused(tmp_path / f'{number}')
  assert not (tmp_path / 'trace').exists()
