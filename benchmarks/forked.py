"""The project's commands, hundreds of times: in processes that begin with all modules imported, and nothing else.

A server imports them once and forks for each call, so that what takes seconds of every start is done once.
"""

import multiprocessing
import os
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lpips_jax.core.jax_environment import keep_compiled_programs

IMPORTED = (
  'numpy',
  'cv2',
  'av',
  'jax',
  'flax',
  'orbax.checkpoint.v1',
  'lpips_jax.pretrained',
  'lpips_jax.dubbing.engine',
)
_CONTEXT = multiprocessing.get_context('forkserver')
_CONTEXT.set_forkserver_preload([*IMPORTED])


class Command:
  """A command that runs, as `subprocess.Popen` would have it.

  Args:
    line: what follows `python`: a file or `-m` and a module, and arguments.
    cwd: where it runs.
    stderr: the file that gets what it says.
  """

  def __init__(self, line: Sequence[str], cwd: Path, stderr: Path) -> None:
    keep_compiled_programs()  # as commands do, but JAX looks when it is imported: in the server
    self._process: Any = _CONTEXT.Process(target=_run, args=(tuple(line), str(cwd), str(stderr)), daemon=True)
    self._process.start()
    self.pid = self._process.pid

  @property
  def returncode(self) -> int | None:
    return self._process.exitcode

  def poll(self) -> int | None:
    return self._process.exitcode

  def kill(self) -> None:
    self._process.kill()

  def wait(self) -> int:
    self._process.join()
    return self._process.exitcode


def _run(line: tuple[str, ...], cwd: str, stderr: str) -> None:
  os.chdir(cwd)
  for number, path in ((1, os.devnull), (2, stderr)):
    os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
  if line[0] == '-m':
    sys.argv = list(line[1:])
    runpy.run_module(line[1], run_name='__main__', alter_sys=True)
  else:
    sys.argv = list(line)
    runpy.run_path(line[0], run_name='__main__')
