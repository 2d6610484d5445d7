import json
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_the_command_compares_both_sides_and_counts_what_is_read_again(tmp_path):
  line = [sys.executable, '-m', 'benchmarks.speed.staging', '--files=3', '--megabytes=1', '--rounds=2']
  subprocess.run([*line, f'--output={tmp_path / "a.json"}', f'--directory={tmp_path}'], check=True, capture_output=True)
  figures = json.loads((tmp_path / 'a.json').read_text())
  assert figures['read_again'] == 0 and figures['megabytes'] == pytest.approx(3.145728)
  assert {name: len(rates) for name, rates in figures['rates'].items()} == {'ours': 2, 'plain': 2}
  assert list(tmp_path.iterdir()) == [tmp_path / 'a.json']
