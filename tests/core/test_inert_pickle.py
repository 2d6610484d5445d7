"""Pickles of anything are read, and nothing in them is run; whatever is no pickle is an error."""

import collections
import datetime
import io
import os
import pickle
import sys

import numpy as np
import pytest

from lpips_jax.core import inert_pickle
from lpips_jax.core.inert_pickle import Name, Opaque, load

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
DAMAGE = ValueError, IndexError, TypeError, KeyError, OverflowError, UnicodeError, AttributeError


def read(data, rules=None, persistent=lambda identifier: ('persistent', identifier)):
  return load(io.BytesIO(data), rules or {}, persistent)


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_plain_values_are_themselves(protocol):
  same = ['a', 'ä\n', 'a']
  value = {
    'numbers': [0, 1, -1, 255, 65_536, -(2**31), 2**40, 2**100, -(2**2100), 1.5, float('-inf')],
    'constants': (None, True, False),
    'tuples': [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), same, same],
    'texts': ['x' * 300, *same],
    'dicts': {1: {}, 'k': {'nested': []}, 2.5: 1, None: 0},
  }
  assert read(pickle.dumps(value, protocol)) == value
  assert read(pickle.dumps(list(range(3000)), protocol)) == list(range(3000))


@pytest.mark.parametrize('protocol', range(3, 6))
def test_bytes_are_themselves_and_sets_become_lists(protocol):
  value = [b'x', b'y' * 300]
  assert read(pickle.dumps(value, protocol)) == value
  assert sorted(read(pickle.dumps({1, 2, 3}, 4))) == sorted(read(pickle.dumps(frozenset((1, 2, 3)), 4))) == [1, 2, 3]
  assert read(pickle.dumps(bytearray(b'z'), 5)) == b'z'


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_objects_of_any_class_are_opaque_and_what_is_beside_them_is_read(protocol):
  strange = [
    datetime.date(2020, 1, 1),
    collections.Counter('aab'),
    np.arange(3),
    np.float64(1),
    collections.deque([1, 2]),
    ValueError('x'),
    complex(1, 2),
    range(3),
  ]
  found = read(pickle.dumps({'strange': strange, 'class': datetime.date, 'weights': 7}, protocol))
  assert [type(x) for x in found['strange']] == [Opaque] * len(strange)
  assert found['class'] == Name('datetime', 'date') and found['weights'] == 7


class Attack:
  """Reduces to whatever it is given."""

  def __init__(self, *reduced):
    self.reduced = reduced

  def __reduce_ex__(self, protocol):
    return self.reduced


class StateSetter:
  """Would run code when its state is set."""

  def __setstate__(self, state):
    os.mkdir(state)

  def __getstate__(self):
    return 'trace'


@pytest.mark.parametrize('protocol', PROTOCOLS)
@pytest.mark.parametrize(
  'attack',
  [
    Attack(os.mkdir, ('trace',)),
    Attack(os.system, ('mkdir trace',)),
    Attack(eval, ('__import__("os").mkdir("trace")',)),
    Attack(getattr, (Attack(__import__, ('os',)), 'mkdir')),
    Attack(os.mkdir, (Attack(str, ('trace',)),)),
    Attack(list, (), None, iter([Attack(os.mkdir, ('trace',))])),
    Attack(dict, (), None, None, iter([(1, Attack(os.mkdir, ('trace',)))])),
    StateSetter(),
    [[[Attack(os.mkdir, ('trace',))]]],
    (Attack(os.mkdir, ('trace',)), {'x': Attack(exec, ('import os; os.mkdir("trace")',))}),
  ],
  ids=['mkdir', 'system', 'eval', 'getattr', 'nested', 'items', 'pairs', 'setstate', 'deep', 'mixed'],
)
def test_nothing_is_called(attack, protocol, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  data = pickle.dumps({'attack': attack, 'weights': 7}, protocol)
  modules = set(sys.modules)
  assert read(data)['weights'] == 7
  assert not (tmp_path / 'trace').exists() and set(sys.modules) == modules


def test_modules_are_not_even_imported(tmp_path, monkeypatch):
  (tmp_path / 'evil_module.py').write_text('import os; os.mkdir("trace")')
  monkeypatch.syspath_prepend(tmp_path)
  monkeypatch.chdir(tmp_path)
  assert read(b'cevil_module\nanything\n.') == Name('evil_module', 'anything')
  assert 'evil_module' not in sys.modules and not (tmp_path / 'trace').exists()


@pytest.mark.parametrize(
  'data',
  [
    b'(cos\nmkdir\nX\x05\x00\x00\x00traceo.',  # OBJ
    b'(X\x05\x00\x00\x00traceios\nmkdir\n.',  # INST
    b'cos\nmkdir\n)\x81.',  # NEWOBJ
    b'\x80\x04cos\nmkdir\n(X\x05\x00\x00\x00tracet}\x92.',  # NEWOBJ_EX
    b'\x80\x04\x8c\x02os\x8c\x05mkdir\x93X\x05\x00\x00\x00trace\x85R.',  # STACK_GLOBAL
    b'\x80\x02\x82\x01X\x05\x00\x00\x00trace\x85R.',  # EXT1
    b'\x80\x02\x83\x01\x00)R.',
    b'\x80\x02\x84\x01\x00\x00\x00)R.',
    b'\x80\x04]]\x93)R.',  # names that are lists
    b'}}b)R.',  # a dict that is called, with a state
    b'cos\nmkdir\n}b}b.',
  ],
)
def test_every_way_to_call_something_calls_nothing(data, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert isinstance(read(data), Opaque | Name)
  assert not list(tmp_path.iterdir())


def test_rules_are_found_by_name_alone():
  name = Name('numbers', 'add')
  rules = {name: sum}
  assert read(b'cnumbers\nadd\n(I1\nI2\ntR.', rules) == 3
  assert read(b'\x80\x04\x8c\x07numbers\x8c\x03add\x93K\x01\x85R.', rules) == 1
  assert isinstance(read(b'cnumbers\nadd\n]R.', rules), Opaque)  # its arguments are no tuple
  assert isinstance(read(b'cnumbers\nadd\nK\x01\x85\x81.', rules), Opaque)  # nor is it a class
  assert isinstance(read(b'X\x03\x00\x00\x00add)R.', rules), Opaque)


def test_persistent_identifiers_may_be_anything():
  assert read(b'Psome\n.') == ('persistent', 'some')
  assert read(b'}Q.') == ('persistent', {})


def test_what_could_hurt_as_a_key_is_left_out():
  assert read(b'}(' + b')' + b'\x85' * 100_000 + b'K\x01X\x01\x00\x00\x00aK\x02u.') == {'a': 2}
  assert read(b'}]K\x01s.') == {}
  assert read(b'}' + pickle.dumps(2**64, 2)[2:-1] + b'K\x01s.') == {}  # many of one hash make a dict slow
  assert read(b'}' + pickle.dumps(2**64 - 1, 2)[2:-1] + b'K\x01s.') == {2**64 - 1: 1}


def test_pickles_have_a_longest_length(monkeypatch):
  monkeypatch.setattr(inert_pickle, 'MAX_OPERATIONS', 4)
  assert read(b']0].') == []
  with pytest.raises(ValueError, match='more than 4 operations'):
    read(b']0]0.')


def test_one_pickle_ends_where_the_next_one_begins():
  file = io.BytesIO(pickle.dumps(1) + pickle.dumps('two') + b'rest')
  assert [load(file, {}, str) for _ in range(2)] == [1, 'two'] and file.read() == b'rest'


@pytest.mark.parametrize(
  'data',
  [
    b'',
    b'.',
    b'0.',
    b't.',
    b'(t',
    b'h\x00.',
    b'K\x01s.',
    b'}(K\x01u.',
    b'1.',
    b'(\x85.',
    b'\x8d\xff\xff\xff\xff\xff\xff\xff\x7fx.',
    b'X\xff\xff\xff\x7fx.',
    b'\x80\x05\x97.',
    b'I' + b'9' * 5000 + b'\n.',
    b'\xff.',
    b'cos\n',
    b'q\x00.',
    b'K\x01p-1\n.',
    b'K\x01p4294967296\n.',
  ],
)
def test_damaged_pickles_are_errors(data):
  with pytest.raises(DAMAGE):
    read(data)


def test_noise_and_changed_bytes_never_do_more_than_fail():
  rng = np.random.default_rng(0)
  whole = pickle.dumps({'a': [1, (2, 'x')], 'b': datetime.date(2020, 1, 1), 'c': {3: None}}, 4)
  for _ in range(2000):
    data = bytearray(whole)
    for place in rng.integers(len(whole), size=3):
      data[place] = rng.integers(256)
    try:
      read(bytes(data))
    except DAMAGE:
      continue
