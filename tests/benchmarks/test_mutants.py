"""Faults are put where they belong, and what tests make of them is told as it is."""

import ast
import json

import pytest

from benchmarks import mutants
from lpips_jax.core.errors import UserError

SOURCE = '''"""Says 1 + 1."""

LIMIT: int = 3


def clipped(x: float, low: float = -1.0) -> float:
  """Not below."""
  if x < low and x != 0:
    raise ValueError(f'{x + 1}')
  é = 'ü'; return max(x, float(low)) + pow(LIMIT, 1)  # the accents take two bytes each
'''
TEST = """from tree import clipped


def test_clipped():
  assert clipped(2.0) == 5
"""


def test_every_fault_changes_one_place_and_is_still_python():
  found = mutants.candidates(SOURCE)
  changed = [mutant.put_into(SOURCE) for mutant in found]
  assert all(text != SOURCE for text in changed) and len({ast.dump(ast.parse(text)) for text in changed}) == len(found)
  assert {(m.kind, m.before, m.after) for m in found} == {
    ('constant', '3', '4'),
    ('sign', '-1.0', '(1.0)'),
    ('constant', '1.0', '2.0'),
    ('condition', 'x < low and x != 0', '(not (x < low and x != 0))'),
    ('condition', 'x < low and x != 0', '(x < low or x != 0)'),
    ('comparison', 'x < low', '(x <= low)'),
    ('comparison', 'x != 0', '(x == 0)'),
    ('constant', '0', '1'),
    ('arithmetic', 'max(x, float(low)) + pow(LIMIT, 1)', '(max(x, float(low)) - pow(LIMIT, 1))'),
    ('call', 'max(x, float(low))', '(x)'),
    ('call', 'float(low)', '(low)'),
    ('call', 'pow(LIMIT, 1)', '(LIMIT)'),
    ('arguments', 'pow(LIMIT, 1)', '(pow(1, LIMIT))'),
    ('constant', '1', '2'),
  }
  assert "é = 'ü'; return (x) + pow(LIMIT, 1)  # the accents" in next(
    text for m, text in zip(found, changed, strict=True) if m.after == '(x)'
  )


def test_the_same_faults_are_drawn_again():
  source = 'x = ' + ' + '.join(map(str, range(50)))
  first, again, other = (mutants.drawn('m.py', source, 5, seed) for seed in (0, 0, 1))
  assert first == again != other and len(first) == 5
  assert mutants.drawn('n.py', source, 5, 0) != first
  assert len(mutants.drawn('m.py', source, 500, 0)) == len(mutants.candidates(source))


@pytest.fixture
def tree(tmp_path):
  root = tmp_path / 'root'
  root.mkdir()
  (root / 'tree.py').write_text(SOURCE)
  (root / 'test_tree.py').write_text(TEST)
  return root


def test_what_tests_notice_and_what_they_do_not(tree, tmp_path, monkeypatch):
  results, modules = tmp_path / 'results.jsonl', {'tree.py': ('test_tree.py',)}
  chosen = [m for m in mutants.candidates(SOURCE) if m.after in ('4', '(low)')]
  monkeypatch.setattr(mutants, 'drawn', lambda *_: chosen)
  found = mutants.run(tree, modules, 2, 0, 2, results)
  assert {mutant.after: outcome for mutant, outcome in found['tree.py'].items()} == {
    '4': 'killed',
    '(low)': 'survived',
  }
  assert (tree / 'tree.py').read_text() == SOURCE and {path.name for path in tree.iterdir()} == {
    'tree.py',
    'test_tree.py',
  }
  text = mutants.report(tree, found, 0)
  assert f'| tree.py | {len(mutants.candidates(SOURCE))} | 2 | 1 | 0 | 1 |' in text
  survivor = 'call: `float(low)` became `(low)`'
  assert f'- `tree.py:10` {survivor}: **not explained**' in text and 'became `4`' not in text
  monkeypatch.setitem(mutants.EXPLAINED, (SOURCE.splitlines()[9].strip(), survivor), 'it is a float')
  assert f'- `tree.py:10` {survivor}: it is a float' in mutants.report(tree, found, 0)

  with results.open('a') as file:
    file.write('\n{"state": "cut sh')
  monkeypatch.setattr(mutants._Running, 'outcome', None)  # nothing is run again
  assert mutants.run(tree, modules, 2, 0, 2, results) == found

  monkeypatch.undo()
  monkeypatch.setattr(mutants, 'drawn', lambda *_: chosen)
  (tree / 'test_tree.py').write_text(
    TEST.replace('2.0', '2').replace('== 5', '== 5 and isinstance(clipped(0, 1), float)')
  )
  assert set(mutants.run(tree, modules, 2, 0, 2, results)['tree.py'].values()) == {'killed'}
  outcomes = [json.loads(line)['outcome'] for line in results.read_text().splitlines() if line[-1:] == '}']
  assert sorted(outcomes) == ['killed', 'killed', 'survived']  # the one that was noticed was not run again


def test_tests_that_fail_anyway_say_nothing_of_faults(tree, tmp_path):
  (tree / 'test_tree.py').write_text(TEST.replace('== 5', '== 6'))
  with pytest.raises(UserError, match='fail without any fault'):
    mutants.run(tree, {'tree.py': ('test_tree.py',)}, 1, 0, 1, tmp_path / 'results.jsonl')


def test_modules_and_their_tests_are_there():
  for module, tests in mutants.MODULES.items():
    assert tests and all(test.startswith('tests/') for test in tests)
    assert not (mutants.ROOT / module).exists() or any((mutants.ROOT / test).exists() for test in tests), module
