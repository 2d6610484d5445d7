"""Mutants change one place each, and are still Python."""

import ast

from mutated_source import SOURCE

from benchmarks.robustness import mutations


def test_every_mutant_changes_one_place_and_is_still_python():
  found = mutations.all_mutants(SOURCE)
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


def test_draws_are_reproducible():
  source = 'x = ' + ' + '.join(map(str, range(50)))
  first, again, other = (mutations.draw('m.py', source, 5, seed) for seed in (0, 0, 1))
  assert first == again != other and len(first) == 5
  assert mutations.draw('n.py', source, 5, 0) != first
  assert len(mutations.draw('m.py', source, 500, 0)) == len(mutations.all_mutants(source))
