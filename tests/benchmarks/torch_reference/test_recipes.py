"""The names of rows say how PyTorch runs."""

import pytest

pytest.importorskip('torch')

from benchmarks.torch_reference import recipes


def test_every_row_has_its_recipe():
  for name in ('released_recipe', 'eager_float32', 'eager_bf16', 'compiled_float32', 'compiled_bf16'):
    recipe = recipes.recipe(name, 'cpu')
    assert (recipe.bf16, recipe.compiled) == ('bf16' in name, 'compiled' in name)
    assert recipe.tuned == (name != 'released_recipe')
