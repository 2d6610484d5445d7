"""PyTorch's recipes flush subnormal numbers to zero; other tests of the process must not see that."""

import sys

import pytest


@pytest.fixture(autouse=True)
def subnormal_numbers():
  yield
  if 'torch' in sys.modules:
    sys.modules['torch'].set_flush_denormal(False)
