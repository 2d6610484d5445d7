"""Logs of a run for people: a progress line, TensorBoard, a JSON line for every set of scalars, pictures, videos."""

import contextlib
import io
import json
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Self, TextIO

import jax
import numpy as np
from PIL import Image
from tensorboardX import summary
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import RecordWriter
from tqdm import tqdm

from lpips_jax import provenance
from lpips_jax.core.constants import FRAME_RATE
from lpips_jax.core.files import write_whole
from lpips_jax.media import pictures
from lpips_jax.media.video_writer import write_clip
from lpips_jax.planning import hardware

MAIN_SCALARS = 'loss', 'bce', 'sync', 'accuracy'  # shown in the progress line


class Pace:
  """A clock of the loop: steps, frames and operations per second, without the time of evaluations and saves."""

  def __init__(self, frames: int, flops: float | None, devices: Sequence[jax.Device]):
    """Starts the clock.

    Args:
      frames: video frames of a step.
      flops: floating-point operations of a step, on all devices together, where that is known.
      devices: of one kind, those that make the step.
    """
    chip = hardware.chip(devices[0].device_kind)
    self._peak = chip.flops * len(devices) if chip else None
    self._flops = flops
    self._frames = frames
    self._step: int | None = None
    self._since = time.monotonic()

  @contextlib.contextmanager
  def paused(self) -> Iterator[None]:
    """Stops the clock while the body runs."""
    began = time.monotonic()
    yield
    self._since += time.monotonic() - began

  def rates(self, step: int) -> dict[str, float]:
    """Returns the rates since the last call; the first call returns none, and starts the count at its step."""
    now, last = time.monotonic(), self._step
    seconds, self._step, self._since = now - self._since, step, now
    if last is None:
      return {}
    rate = (step - last) / max(seconds, 1e-9)
    rates = {'steps_per_second': rate, 'frames_per_second': rate * self._frames}
    if self._flops:
      rates['tflops'] = rate * self._flops / 1e12
    if self._flops and self._peak:
      rates['peak_share'] = rate * self._flops / self._peak
    return rates


class RunLog:
  """The log of a run: WORKDIR/metrics.jsonl, tensorboard/, samples/ and diagnosis/; and a bar, or lines in a file."""

  def __init__(self, workdir: Path, steps: int, done: int, title: str):
    """Opens the log of a run that has made `done` of its `steps`; drops what was logged of later ones."""
    self._workdir, self._steps = workdir, steps
    self._lines = _reopen(workdir / 'metrics.jsonl', done)
    self._board = TensorBoardFile(workdir / 'tensorboard', done)
    self._bar = tqdm(total=steps, initial=done, desc=title, unit='step', dynamic_ncols=True, disable=None)

  def __enter__(self) -> Self:
    return self

  def __exit__(self, problem: type[BaseException] | None, *_: object) -> None:
    self._bar.close()
    for file in self._lines, self._board:
      # Closing repeats a write that failed: then the first failure is the one to report.
      with contextlib.suppress(OSError) if problem else contextlib.nullcontext():
        file.close()

  def advance(self) -> None:
    """Moves the bar by a step."""
    self._bar.update()

  def train(self, step: int, values: dict[str, float]) -> None:
    """Logs the scalars of a training step, and shows the main ones."""
    self._log_scalars(step, 'train', values)
    shown = [f'{name} {values[name]:.3f}' for name in MAIN_SCALARS if name in values] + _pace_texts(values)
    if not self._bar.disable:
      self._bar.set_postfix_str(', '.join(shown))
      return
    if 'steps_per_second' in values:
      shown.append(f'{timedelta(seconds=round((self._steps - step) / values["steps_per_second"]))} left')
    self.say(f'step {step}/{self._steps}: ' + ', '.join(shown))

  def evaluation(self, step: int, values: dict[str, float]) -> None:
    """Logs and shows the scalars of an evaluation."""
    self._log_scalars(step, 'eval', values)
    self.say(f'step {step}, evaluated: ' + ', '.join(f'{name} {value:.4f}' for name, value in values.items()))

  def say(self, line: str) -> None:
    """Shows a line above the bar."""
    self._bar.write(line)
    sys.stdout.flush()

  def samples(self, step: int, rows: Sequence[np.ndarray]) -> None:
    """Logs a picture whose rows are (n, h, w, 3) each."""
    self._log_picture('samples', step, pictures.grid(rows))

  def diagnosis(self, step: int, image: np.ndarray, verdict: str) -> None:
    """Logs the diagnosis of an expert's data: a picture (h, w, 3) uint8 and a line."""
    self._log_picture('diagnosis', step, image)
    self._board.write(step, summary.text('diagnosis', verdict))
    write_whole(self._workdir / 'diagnosis' / f'{step:07d}.txt', verdict + '\n')
    self.say(f'step {step}, diagnosis: {verdict}')

  def video(self, step: int, frames: np.ndarray, speech: np.ndarray | None) -> None:
    """Logs a video: frames (t, h, w, 3) uint8, 25 per second; speech (s,) int16 at 16 kHz goes into the file."""
    path = self._workdir / 'samples' / f'{step:07d}.mp4'
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = frames.shape[1:3]
    write_clip(path, frames, (height, width), speech, provenance.marks(provenance.Statement('dubbed')))
    animation = Summary.Image(encoded_image_string=_gif(frames), height=height, width=width, colorspace=3)
    self._board.write(step, Summary(value=[Summary.Value(tag='video', image=animation)]))

  def _log_scalars(self, step: int, kind: str, values: dict[str, float]) -> None:
    with _errors_naming(Path(self._lines.name)):
      self._lines.write(json.dumps({'step': step, 'kind': kind} | values) + '\n')
      self._lines.flush()
    self._board.write(step, *(summary.scalar(f'{kind}/{name}', value) for name, value in values.items()))

  def _log_picture(self, kind: str, step: int, image: np.ndarray) -> None:
    self._board.write(step, summary.image(kind, image, dataformats='HWC'))
    pictures.write_png(self._workdir / kind / f'{step:07d}.png', image)


class TensorBoardFile:
  """A file of events for TensorBoard, which is written to at once and raises OSError when that fails.

  tensorboardX's `SummaryWriter` writes in a thread. On a full disk that thread ends, and training is not informed: with
  tensorboardX 2.6.5 it could log 115 more scalars before it waited for ever on that thread. `EventsWriter` has no
  thread, but leaves its file open when the last write fails. So this class gives events to its `RecordWriter`.
  """

  def __init__(self, directory: Path, done: int):
    """Opens a new file in `directory`, and has TensorBoard drop what files there have later than step `done`."""
    directory.mkdir(parents=True, exist_ok=True)
    self._directory = directory
    name = f'events.out.tfevents.{int(time.time())}.{socket.gethostname()}'
    self._records = RecordWriter(str(directory / name))
    start = SessionLog(status=SessionLog.START)
    self._write(Event(file_version='brain.Event:2'), Event(step=done + 1, session_log=start))

  def write(self, step: int, *summaries: Summary) -> None:
    """Writes what is to be shown of a step."""
    self._write(*(Event(step=step, summary=one) for one in summaries))

  def close(self) -> None:
    self._records.close()

  def _write(self, *events: Event) -> None:
    with _errors_naming(self._directory):
      for event in events:
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())
      self._records.flush()


@contextlib.contextmanager
def _errors_naming(path: Path) -> Iterator[None]:
  """Adds the file's name to an OSError of the body, which writing to an open file does not give."""
  try:
    yield
  except OSError as error:
    raise OSError(error.errno, error.strerror, str(path)) from error


def _pace_texts(values: dict[str, float]) -> list[str]:
  shown = {
    'steps_per_second': '{:.2f} steps/s',
    'frames_per_second': '{:.0f} frames/s',
    'tflops': '{:.3f} TFLOP/s',
    'peak_share': '{:.0%} of peak',
  }
  return [text.format(values[name]) for name, text in shown.items() if name in values]


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
