"""The flow of train.py: bad flags are reported in one line, and leave nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
QUICKSTART = f'--config={ROOT / "configs" / "quickstart.py"}:generator'
LRS2 = f'--config={ROOT / "configs" / "lrs2_sync_expert.py"}'


def train(*arguments):
  return subprocess.run([sys.executable, ROOT / 'train.py', *arguments], capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(
  ('problem', 'arguments'),
  [
    ('missing --workdir', [QUICKSTART]),
    ('learning_rat', [QUICKSTART, '--workdir=W', '--config.optimizer.learning_rat=1']),
    ('steps', [QUICKSTART, '--workdir=W', '--config.steps=many']),
    ('gone.py', ['--config=gone.py', '--workdir=W']),
    ('needs a trained sync expert', [QUICKSTART, '--workdir=W', '--config.data.name=talking_faces/tiny']),
    (
      "no corpus 'lrs2'",
      [LRS2, '--workdir=W', '--config.data.data_dir=D'],
    ),
  ],
)
def test_bad_input_is_one_line(problem, arguments, tmp_path):
  arguments = [argument.replace('=W', f'={tmp_path / "run"}').replace('=D', f'={tmp_path}') for argument in arguments]
  if any('tiny' in argument for argument in arguments):
    arguments.append(f'--config.data.data_dir={tmp_path}')
  result = train(*arguments)
  assert result.returncode == 2, result.stderr
  assert problem in result.stderr and len(result.stderr.splitlines()) == 1
  assert not list((tmp_path / 'run').glob('checkpoint/[0-9]*'))
