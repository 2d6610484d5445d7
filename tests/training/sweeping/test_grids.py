"""Values of a sweep as they are written on a command line, and the names of their combinations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpips_jax.core.errors import UserError
from lpips_jax.training.sweeping.grids import MAX_NAME, Grid, name_of, parse_grid, short_keys


@pytest.mark.parametrize(
  ('text', 'key', 'values'),
  [
    ('seed=0,1,2', 'seed', ('0', '1', '2')),
    ('config.optimizer.learning_rate = 1e-4, 3e-4', 'optimizer.learning_rate', ('1e-4', '3e-4')),
    ('model.widths=(32, 64),(16,32)', 'model.widths', ('(32, 64)', '(16,32)')),
    ('data.name="a:1,b:3",c', 'data.name', ('a:1,b:3', 'c')),
    ("data.name='a:1,b:3'", 'data.name', ('a:1,b:3',)),
    ('sync_expert="",runs/a=b/checkpoint', 'sync_expert', ('', 'runs/a=b/checkpoint')),
    ("x=('a,(b', 'c'),('d',)", 'x', ("('a,(b', 'c')", "('d',)")),
    ('x="a","b"', 'x', ('a', 'b')),
  ],
)
def test_commas_in_brackets_and_quotes_belong_to_a_value(text, key, values):
  assert parse_grid(text) == Grid(key, values)


@pytest.mark.parametrize('text', ['seed', 'seed=', '=1', '', 'seed=0,,1', 'seed=0,', 'x=(1,2', 'x=1)', 'x="a', 'x=)1('])
def test_a_text_of_another_form_is_refused(text):
  with pytest.raises(UserError, match='grid='):
    parse_grid(text)


def test_keys_are_as_short_as_they_can_be():
  keys = ['optimizer.learning_rate', 'model.image_size', 'discriminator.image_size', 'seed']
  assert list(short_keys(keys).values()) == ['learning_rate', 'model.image_size', 'discriminator.image_size', 'seed']
  assert short_keys(['a.seed', 'seed']) == {'a.seed': 'a.seed', 'seed': 'seed'}


def test_names_are_readable_and_those_of_directories():
  assert name_of({'optimizer.learning_rate': '0.0001', 'losses.sync': '0.01'}) == 'learning_rate=0.0001,sync=0.01'
  assert name_of({'data.lead': '-1.0'}) == 'lead=-1.0'
  assert name_of({'model.widths': '(4, 8)', 'seed': '0'}).startswith('widths=4-8,seed=0-')
  long = name_of({'model.widths': '1' * 300})
  assert long.startswith('widths=111') and len(long) == MAX_NAME
  assert name_of({'sync_expert': '../a/b'}).startswith('sync_expert=..-a-b-')


TEXTS = st.text("aA1=,-./ '(ö", max_size=12)


@given(st.lists(st.fixed_dictionaries({'a.x': TEXTS, 'b.y': TEXTS}), min_size=2, max_size=2, unique_by=str))
def test_different_combinations_have_different_names(combinations):
  names = [name_of(values) for values in combinations]
  assert names[0] != names[1]
  assert all('/' not in name and len(name) <= MAX_NAME for name in names)
