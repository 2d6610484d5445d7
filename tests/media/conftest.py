"""A fixture for tests of what is logged about files."""

import pytest
from absl import logging

from lpips_jax.media.containers import warn_once


@pytest.fixture
def warnings(monkeypatch) -> list[str]:
  """Returns the warnings that the test logs."""
  logged: list[str] = []
  monkeypatch.setattr(logging, 'warning', lambda text, *values: logged.append(text % values))
  warn_once.cache_clear()
  return logged
