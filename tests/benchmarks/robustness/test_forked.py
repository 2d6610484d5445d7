"""Forked commands start from a server with the slow modules already imported."""

from importlib.util import find_spec

import pytest

from benchmarks.robustness import forked


@pytest.mark.parametrize('module', forked.PRELOADED)
def test_preloaded_modules_exist(module):
  assert find_spec(module)  # the fork server ignores names that it cannot import
