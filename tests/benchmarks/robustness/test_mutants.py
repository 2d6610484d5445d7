"""Mutation testing reports exactly what the tests notice."""

import json

import pytest
from mutated_source import SOURCE

from benchmarks.robustness import mutants
from benchmarks.robustness.mutations import all_mutants
from lpips_jax.core.errors import UserError

TEST = """from tree import clipped


def test_clipped():
  assert clipped(2.0) == 5
"""


@pytest.fixture
def tree(tmp_path):
  root = tmp_path / 'root'
  root.mkdir()
  (root / 'tree.py').write_text(SOURCE)
  (root / 'test_tree.py').write_text(TEST)
  return root


@pytest.mark.slow
def test_killed_and_surviving_mutants_are_reported_and_not_run_again(tree, tmp_path, monkeypatch):
  results, modules = tmp_path / 'results.jsonl', {'tree.py': ('test_tree.py',)}
  chosen = [m for m in all_mutants(SOURCE) if m.after in ('4', '(low)')]
  monkeypatch.setattr(mutants, 'draw', lambda *_: chosen)
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
  assert f'| tree.py | {len(all_mutants(SOURCE))} | 2 | 1 | 0 | 1 |' in text
  survivor = 'call: `float(low)` became `(low)`'
  assert f'- `tree.py:10` {survivor}: **not explained**' in text and 'became `4`' not in text
  monkeypatch.setitem(mutants.EXPLAINED, (SOURCE.splitlines()[9].strip(), survivor), 'it is a float')
  assert f'- `tree.py:10` {survivor}: it is a float' in mutants.report(tree, found, 0)

  with results.open('a') as file:
    file.write('\n{"state": "cut sh')
  monkeypatch.setattr(mutants._Runner, 'outcome', None)  # nothing runs again
  assert mutants.run(tree, modules, 2, 0, 2, results) == found

  monkeypatch.undo()
  monkeypatch.setattr(mutants, 'draw', lambda *_: chosen)
  (tree / 'test_tree.py').write_text(
    TEST.replace('2.0', '2').replace('== 5', '== 5 and isinstance(clipped(0, 1), float)')
  )
  assert set(mutants.run(tree, modules, 2, 0, 2, results)['tree.py'].values()) == {'killed'}
  outcomes = [json.loads(line)['outcome'] for line in results.read_text().splitlines() if line[-1:] == '}']
  assert sorted(outcomes) == ['killed', 'killed', 'survived']  # the killed one was not run again


def test_tests_that_fail_without_a_fault_are_refused(tree, tmp_path):
  (tree / 'test_tree.py').write_text(TEST.replace('== 5', '== 6'))
  with pytest.raises(UserError, match='fail without any fault'):
    mutants.run(tree, {'tree.py': ('test_tree.py',)}, 1, 0, 1, tmp_path / 'results.jsonl')
