"""The interface of a run's writers, and a thread for those that belong to a service, which the run never waits for."""

import contextlib
import json
import queue
import threading
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from absl import logging
from ml_collections import ConfigDict

from lpips_jax.core.errors import first_line
from lpips_jax.core.files import write_whole

MAX_WAITING = 1_000  # calls, pictures of some hundred kilobytes among them
CLOSE_SECONDS = 30.0  # for which the end of a run waits for a service


class Writer:
  """A place where a run's log goes. It shows what it can, and passes over the rest."""

  needs: ClassVar[str] = ''  # the package of a service, which the extra of the writer's name installs

  def __init__(self, workdir: Path, config: ConfigDict, done: int):
    """Opens the log of a run that has made `done` steps; what was logged of later ones will be repeated."""

  def scalars(self, step: int, kind: str, values: dict[str, float]) -> None:
    """Writes scalars of a step: 'train', 'eval', or 'time', which is that of `goodput`."""

  def picture(self, step: int, name: str, image: np.ndarray) -> None:
    """Writes a picture, (h, w, 3) uint8."""

  def text(self, step: int, name: str, text: str) -> None:
    """Writes a text."""

  def video(self, step: int, name: str, frames: np.ndarray, path: Path) -> None:
    """Writes a video: frames (t, h, w, 3) uint8, 25 per second, which `path` holds as an mp4, with sound."""

  def close(self, failed: bool) -> None:
    """Ends the log of a run, or of an attempt at it that has `failed`."""


class Service(Writer):
  """A writer to a service, which calls the run by an `id`: `known_id` tells it in a resumed run."""

  id: str


class Background(Writer):
  """A service's writer in a thread of its own; its failures and its falling behind cost a warning, never the run.

  WORKDIR/NAME.json keeps the run's id, and the last step of everything written, so that nothing is written twice. A run
  that has saved no step begins as a new one.
  """

  def __init__(self, name: str, service: type[Writer], workdir: Path, config: ConfigDict, done: int):
    super().__init__(workdir, config, done)
    self._name = name
    self._file = _file(workdir, name)
    if not done:
      self._file.unlink(missing_ok=True)
    self._steps: dict[str, int] = _read(self._file).get('steps', {})
    self._warned: set[str] = set()
    self._calls: queue.Queue[tuple[Any, ...]] = queue.Queue(MAX_WAITING)
    self._thread = threading.Thread(target=self._work, args=(service, workdir, config, done), name=name, daemon=True)
    self._thread.start()

  def scalars(self, step: int, kind: str, values: dict[str, float]) -> None:
    self._enqueue('scalars', step, kind, values)

  def picture(self, step: int, name: str, image: np.ndarray) -> None:
    self._enqueue('picture', step, name, image)

  def text(self, step: int, name: str, text: str) -> None:
    self._enqueue('text', step, name, text)

  def video(self, step: int, name: str, frames: np.ndarray, path: Path) -> None:
    self._enqueue('video', step, name, frames, path)

  def close(self, failed: bool) -> None:
    with contextlib.suppress(queue.Full):
      self._calls.put(('close', failed), timeout=CLOSE_SECONDS if self._thread.is_alive() else 0.01)
    self._thread.join(CLOSE_SECONDS)
    if self._thread.is_alive():
      self._warn('does not answer, so the end of the log is left out')

  def _enqueue(self, *call: Any) -> None:
    if not self._thread.is_alive():
      return  # a warning has said why
    try:
      self._calls.put_nowait(call)
    except queue.Full:
      self._warn('falls behind, so some of the log is left out')

  def _work(self, service: type[Writer], workdir: Path, config: ConfigDict, done: int) -> None:
    """Opens the service's writer and makes the calls that come, until it is closed."""
    try:
      writer = service(workdir, config, done)
      self._remember(writer)
    except Exception as error:
      self._warn(f'cannot be used, the run goes on without it ({first_line(error)})')
      return
    method = ''
    while method != 'close':
      method, *arguments = self._calls.get()
      try:
        self._make(writer, method, arguments)
      except Exception as error:
        self._warn(f'has failed, and some of the log is left out ({first_line(error)})')

  def _make(self, writer: Writer, method: str, arguments: list[Any]) -> None:
    """Makes a call, unless an earlier attempt has made it."""
    if method == 'close':
      writer.close(*arguments)
      return
    step, kind = arguments[:2]
    if step > self._steps.get(f'{method} {kind}', -1):
      getattr(writer, method)(*arguments)
      self._steps[f'{method} {kind}'] = step
      self._remember(writer)

  def _remember(self, writer: Any) -> None:
    write_whole(self._file, json.dumps({'id': writer.id, 'steps': self._steps}) + '\n')

  def _warn(self, problem: str) -> None:
    kind = problem.partition('(')[0]
    if kind not in self._warned:
      logging.warning('%s %s', self._name, problem)
    self._warned.add(kind)


def known_id(workdir: Path, name: str) -> str | None:
  """Returns the id of a run at a service, None if it has not been there."""
  return _read(_file(workdir, name)).get('id')


def _file(workdir: Path, name: str) -> Path:
  return workdir / f'{name}.json'


def _read(path: Path) -> dict[str, Any]:
  try:
    return dict(json.loads(path.read_text()))
  except (OSError, ValueError, TypeError):
    return {}
