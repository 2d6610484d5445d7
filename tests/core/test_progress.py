"""Progress is drawn on a terminal and logged elsewhere."""

import sys

import pytest

from lpips_jax.core.progress import MINUTE, progress_bar


@pytest.mark.parametrize('terminal', [True, False])
def test_a_bar_on_a_terminal_and_a_line_a_minute_elsewhere(monkeypatch, terminal):
  monkeypatch.setattr(sys.stderr, 'isatty', lambda: terminal)
  with progress_bar('work', 10, 'clip') as bar:
    assert bar.fp._wrapped is (sys.stderr if terminal else sys.stdout)
    assert bar.mininterval == (0.2 if terminal else MINUTE)


def test_a_hidden_bar_prints_nothing(capsys):
  with progress_bar('work', 10, 'clip', shown=False) as bar:
    bar.update(10)
  assert capsys.readouterr() == ('', '')
