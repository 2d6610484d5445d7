"""Runs of the project's commands that skip the seconds of imports, so that hundreds of runs are affordable.

A fork server imports the slow modules once, and forks for each run.
"""

import multiprocessing
import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from lpips_jax.core.jax_environment import keep_compiled_programs

PRELOADED = (
  'numpy',
  'cv2',
  'av',
  'jax',
  'flax',
  'orbax.checkpoint.experimental.v1',
  'lpips_jax.pretrained',
  'lpips_jax.dubbing.engine',
)
_CONTEXT = multiprocessing.get_context('forkserver')
_CONTEXT.set_forkserver_preload([*PRELOADED])


class Command:
  """A running command, with the interface of `subprocess.Popen`.

  Args:
    line: what follows `python`: a file or `-m` and a module, and arguments.
    cwd: working directory.
    stderr: file for its stderr; its stdout is dropped.
    environment: variables that differ from those when the first command ran.
  """

  def __init__(
    self, line: Sequence[str], cwd: Path, stderr: Path, environment: Mapping[str, str] = MappingProxyType({})
  ) -> None:
    keep_compiled_programs()  # here, as JAX reads the setting when the server imports it
    arguments = tuple(line), str(cwd), str(stderr), dict(environment)
    self._process = _CONTEXT.Process(target=_run, args=arguments, daemon=True)
    self._process.start()
    self.pid = self._process.pid

  @property
  def returncode(self) -> int | None:
    return self._process.exitcode

  def poll(self) -> int | None:
    return self._process.exitcode

  def kill(self) -> None:
    self._process.kill()

  def wait(self) -> int | None:
    self._process.join()
    return self._process.exitcode


def _run(line: tuple[str, ...], cwd: str, stderr: str, environment: dict[str, str]) -> None:
  os.chdir(cwd)
  os.environ.update(environment)
  for number, path in ((1, os.devnull), (2, stderr)):
    os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
  if line[0] == '-m':
    sys.argv = list(line[1:])
    runpy.run_module(line[1], run_name='__main__', alter_sys=True)
  else:
    sys.argv = list(line)
    runpy.run_path(line[0], run_name='__main__')
