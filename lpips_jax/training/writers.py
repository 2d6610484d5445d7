"""Writers of a run's log: each keeps scalars, pictures, texts and videos where people look for them.

To add one, write a class with what it can show of `Writer`, and its name in `WRITERS`. One whose `needs` names a
package belongs to a service: it works in the background, and its failures cost a warning, never the run.
"""

import contextlib
import io
import json
import socket
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TextIO

import numpy as np
from ml_collections import ConfigDict
from PIL import Image
from tensorboardX import summary
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import RecordWriter

from lpips_jax.core.constants import FRAME_RATE
from lpips_jax.core.errors import UserError
from lpips_jax.core.files import write_whole
from lpips_jax.training.background import Background, Writer
from lpips_jax.training.trackers import Mlflow, Wandb

ROTATED_BYTES = 8 << 20  # of a file of events, from which on the next begins: what follows a run copies whole files


class JsonLines(Writer):
  """WORKDIR/metrics.jsonl: a line for each set of scalars. The report and a resumed run's goodput read it."""

  def __init__(self, workdir: Path, config: ConfigDict, done: int):
    self._path = workdir / 'metrics.jsonl'
    self._lines = _reopen(self._path, done)

  def scalars(self, step: int, kind: str, values: dict[str, float]) -> None:
    with _errors_naming(self._path):
      self._lines.write(json.dumps({'step': step, 'kind': kind} | values | {'wall': round(time.time(), 3)}) + '\n')
      self._lines.flush()

  def close(self, failed: bool) -> None:
    self._lines.close()


class TensorBoard(Writer):
  """WORKDIR/tensorboard/: files of events, which are written at once; raises OSError when that fails.

  tensorboardX's `SummaryWriter` writes in a thread. On a full disk that thread ends, and training is not informed: with
  tensorboardX 2.6.5 it could log 115 more scalars before it waited for ever on that thread. `EventsWriter` has no
  thread, but leaves its file open when the last write fails. So this class gives events to its `RecordWriter`.
  """

  def __init__(self, workdir: Path, config: ConfigDict, done: int):
    """Opens a new file, and has TensorBoard drop what earlier files have of steps later than `done`."""
    self._directory = workdir / 'tensorboard'
    self._directory.mkdir(parents=True, exist_ok=True)
    self._files = 0
    self._open()
    self._write(Event(step=done + 1, session_log=SessionLog(status=SessionLog.START)))

  def scalars(self, step: int, kind: str, values: dict[str, float]) -> None:
    self._show(step, *(summary.scalar(f'{kind}/{name}', value) for name, value in values.items()))

  def picture(self, step: int, name: str, image: np.ndarray) -> None:
    self._show(step, summary.image(name, image, dataformats='HWC'))

  def text(self, step: int, name: str, text: str) -> None:
    self._show(step, summary.text(name, text))

  def video(self, step: int, name: str, frames: np.ndarray, path: Path) -> None:
    height, width = frames.shape[1:3]
    animation = Summary.Image(encoded_image_string=_gif(frames), height=height, width=width, colorspace=3)
    self._show(step, Summary(value=[Summary.Value(tag=name, image=animation)]))

  def close(self, failed: bool) -> None:
    self._records.close()

  def _show(self, step: int, *summaries: Summary) -> None:
    if self._path.stat().st_size > ROTATED_BYTES:
      self._records.close()
      self._open()
    self._write(*(Event(step=step, summary=one) for one in summaries))

  def _open(self) -> None:
    """Opens a file that is new, and which TensorBoard reads after those before: it goes by their names."""
    started = f'events.out.tfevents.{int(time.time())}.{socket.gethostname()}'
    while (path := self._directory / f'{started}.{self._files:04d}').exists():
      self._files += 1
    self._path, self._records = path, RecordWriter(str(path))
    self._write(Event(file_version='brain.Event:2'))

  def _write(self, *events: Event) -> None:
    with _errors_naming(self._directory):
      for event in events:
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())
      self._records.flush()


WRITERS: dict[str, type[Writer]] = {'jsonl': JsonLines, 'tensorboard': TensorBoard, 'wandb': Wandb, 'mlflow': Mlflow}


def check_writers(text: str) -> None:
  """Raises UserError unless `text` names writers, with commas in between, whose packages are installed."""
  for name in _names(text):
    if name not in WRITERS:
      raise UserError(f'config.writers={text!r}: give some of {",".join(WRITERS)}, with commas in between')
    package = WRITERS[name].needs
    if package and find_spec(package) is None:
      raise UserError(f"config.writers={text!r} needs the package {package}: pip install -e '.[{name}]'")


def open_writers(workdir: Path, config: ConfigDict, done: int) -> list[Writer]:
  """Opens the writers that `config.writers` names, for a run that has made `done` steps."""
  return [_open(name, WRITERS[name], workdir, config, done) for name in _names(config.writers)]


def _open(name: str, writer: type[Writer], workdir: Path, config: ConfigDict, done: int) -> Writer:
  return Background(name, writer, workdir, config, done) if writer.needs else writer(workdir, config, done)


def _names(text: str) -> list[str]:
  return list(dict.fromkeys(name.strip() for name in text.split(',')))


@contextlib.contextmanager
def _errors_naming(path: Path) -> Iterator[None]:
  """Adds the file's name to an OSError of the body, which writing to an open file does not give."""
  try:
    yield
  except OSError as error:
    raise OSError(error.errno, error.strerror, str(path)) from error


def _gif(frames: np.ndarray) -> bytes:
  """Encodes frames as an endless animation, which TensorBoard shows like a picture."""
  images = [Image.fromarray(frame) for frame in frames[::2]]
  coded = io.BytesIO()
  images[0].save(coded, 'gif', save_all=True, append_images=images[1:], duration=2000 // FRAME_RATE, loop=0)
  return coded.getvalue()


def _reopen(path: Path, done: int) -> TextIO:
  """Opens a JSON-lines file for appending, and drops the lines of steps later than `done`, which will be repeated."""
  if path.exists():
    kept = [line for line in path.read_text(errors='replace').splitlines() if _step_of(line) <= done]
    write_whole(path, ''.join(line + '\n' for line in kept))
  return path.open('a')


def _step_of(line: str) -> float:
  try:
    return float(json.loads(line)['step'])
  except (ValueError, KeyError, TypeError):
    return float('inf')  # cut off when the run was killed
