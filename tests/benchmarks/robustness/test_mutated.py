"""The list of mutated modules names files that exist."""

from benchmarks.commands import ROOT
from benchmarks.robustness.mutated import MODULES


def test_modules_and_their_tests_exist():
  paths = {path for module, tests in MODULES.items() for path in (module, *tests)}
  assert not [path for path in paths if not (ROOT / path).is_file()]
  assert all(tests for tests in MODULES.values())
