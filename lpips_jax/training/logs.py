"""What a person sees of a run: a progress line, TensorBoard, a JSON line for every set of scalars, pictures, videos."""

import contextlib
import io
import json
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Self

import numpy as np
from ml_collections import ConfigDict
from PIL import Image
from tensorboardX import summary
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import RecordWriter
from tqdm import tqdm

from lpips_jax.core.constants import FRAME_RATE, WINDOW_FRAMES
from lpips_jax.core.files import write_whole
from lpips_jax.media import pictures
from lpips_jax.media.video_writer import write_clip
from lpips_jax.planning import hardware

SHOWN = 'loss', 'bce', 'sync', 'accuracy'  # of the scalars, in the progress line


class Pace:
  """How fast steps are made: steps, frames and arithmetic a second, without what evaluations and saving take."""

  def __init__(self, config: ConfigDict, flops: float | None, devices: np.ndarray):
    """Starts to count.

    Args:
      config: of the run.
      flops: floating-point operations of a step, of all devices together, where that is known.
      devices: JAX's.
    """
    chip = hardware.chip(devices.flat[0].device_kind)
    self._peak = chip.flops * devices.size if chip else None
    self._flops = flops
    self._frames = config.data.batch_size * WINDOW_FRAMES
    if config.task == 'sync_expert':
      self._frames *= config.data.windows
    self._step, self._since = None, time.monotonic()

  @contextlib.contextmanager
  def paused(self) -> Iterator[None]:
    began = time.monotonic()
    yield
    self._since += time.monotonic() - began

  def rates(self, step: int) -> dict[str, float]:
    """The rates since the last call, at whose step the counting began: none at the first."""
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
  """Writes WORKDIR/metrics.jsonl, tensorboard/, samples/ and diagnosis/; draws a bar, or prints lines into a file."""

  def __init__(self, workdir: Path, steps: int, done: int, title: str):
    """Continues the log of a run that has made `done` of its `steps`; what it logged later than that is dropped."""
    self._workdir, self._steps = workdir, steps
    self._lines = _reopen(workdir / 'metrics.jsonl', done)
    self._board = Board(workdir / 'tensorboard', done)
    self._bar = tqdm(total=steps, initial=done, desc=title, unit='step', dynamic_ncols=True, disable=None)

  def __enter__(self) -> Self:
    return self

  def __exit__(self, problem: type[BaseException] | None, *_: object) -> None:
    self._bar.close()
    for file in self._lines, self._board:
      # What could not be written is tried once more on closing: then the first failure is the one to tell of.
      with contextlib.suppress(OSError) if problem else contextlib.nullcontext():
        file.close()

  def advance(self) -> None:
    self._bar.update()

  def train(self, step: int, values: dict[str, float]) -> None:
    """Logs the scalars of a training step, and shows the main ones."""
    self._scalars(step, 'train', values)
    shown = [f'{name} {values[name]:.3f}' for name in SHOWN if name in values] + _pace(values)
    if not self._bar.disable:
      self._bar.set_postfix_str(', '.join(shown))
      return
    if 'steps_per_second' in values:
      shown.append(f'{timedelta(seconds=round((self._steps - step) / values["steps_per_second"]))} left')
    self.say(f'step {step}/{self._steps}: ' + ', '.join(shown))

  def evaluation(self, step: int, values: dict[str, float]) -> None:
    """Logs and shows the scalars of an evaluation."""
    self._scalars(step, 'eval', values)
    self.say(f'step {step}, evaluated: ' + ', '.join(f'{name} {value:.4f}' for name, value in values.items()))

  def say(self, line: str) -> None:
    """Shows a line above the bar."""
    self._bar.write(line)
    sys.stdout.flush()

  def samples(self, step: int, rows: Sequence[np.ndarray]) -> None:
    """Logs a picture whose rows are (n, h, w, 3) each."""
    self._picture('samples', step, pictures.grid(rows))

  def diagnosis(self, step: int, image: np.ndarray, verdict: str) -> None:
    """Logs what an expert says of its data: a picture (h, w, 3) uint8 and a line."""
    self._picture('diagnosis', step, image)
    self._board.write(step, summary.text('diagnosis', verdict))
    write_whole(self._workdir / 'diagnosis' / f'{step:07d}.txt', verdict + '\n')
    self.say(f'step {step}, diagnosis: {verdict}')

  def video(self, step: int, frames: np.ndarray, speech: np.ndarray | None) -> None:
    """Logs a video: frames (t, h, w, 3) uint8 at 25 a second; speech (s,) int16 at 16 kHz goes into the file."""
    path = self._workdir / 'samples' / f'{step:07d}.mp4'
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = frames.shape[1:3]
    write_clip(path, frames, (height, width), speech)
    animation = Summary.Image(encoded_image_string=_gif(frames), height=height, width=width, colorspace=3)
    self._board.write(step, Summary(value=[Summary.Value(tag='video', image=animation)]))

  def _scalars(self, step: int, kind: str, values: dict[str, float]) -> None:
    with _naming(Path(self._lines.name)):
      self._lines.write(json.dumps({'step': step, 'kind': kind} | values) + '\n')
      self._lines.flush()
    self._board.write(step, *(summary.scalar(f'{kind}/{name}', value) for name, value in values.items()))

  def _picture(self, kind: str, step: int, image: np.ndarray) -> None:
    self._board.write(step, summary.image(kind, image, dataformats='HWC'))
    pictures.write_png(self._workdir / kind / f'{step:07d}.png', image)


class Board:
  """What TensorBoard shows, written when it is told.

  tensorboardX's `SummaryWriter` writes in a thread, which ends unseen where the disk is full; training then waits
  for it forever.
  """

  def __init__(self, directory: Path, done: int):
    """Opens another file in `directory`; of the files there, TensorBoard drops what is later than step `done`."""
    directory.mkdir(parents=True, exist_ok=True)
    self._directory = directory
    name = f'events.out.tfevents.{int(time.time())}.{socket.gethostname()}'
    self._records = RecordWriter(str(directory / name))
    begun = SessionLog(status=SessionLog.START)
    self._write(Event(file_version='brain.Event:2'), Event(step=done + 1, session_log=begun))

  def write(self, step: int, *summaries: Summary) -> None:
    self._write(*(Event(step=step, summary=one) for one in summaries))

  def close(self) -> None:
    self._records.close()

  def _write(self, *events: Event) -> None:
    with _naming(self._directory):
      for event in events:
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())
      self._records.flush()


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
  """Names the file in what the system says of it, which writing to an open one does not."""
  try:
    yield
  except OSError as error:
    raise OSError(error.errno, error.strerror, str(path)) from error


def _pace(values: dict[str, float]) -> list[str]:
  shown = {
    'steps_per_second': '{:.2f} steps/s',
    'frames_per_second': '{:.0f} frames/s',
    'tflops': '{:.3f} TFLOP/s',
    'peak_share': '{:.0%} of peak',
  }
  return [text.format(values[name]) for name, text in shown.items() if name in values]


def _gif(frames: np.ndarray) -> bytes:
  """An endless animation, which TensorBoard shows as it shows pictures."""
  images = [Image.fromarray(frame) for frame in frames[::2]]
  coded = io.BytesIO()
  images[0].save(coded, 'gif', save_all=True, append_images=images[1:], duration=2000 // FRAME_RATE, loop=0)
  return coded.getvalue()


def _reopen(path: Path, done: int):
  """Opens a JSON-lines file for appending, without the lines of steps that will be made again."""
  if path.exists():
    kept = [line for line in path.read_text(errors='replace').splitlines() if _step(line) <= done]
    write_whole(path, ''.join(line + '\n' for line in kept))
  return path.open('a')


def _step(line: str) -> float:
  try:
    return float(json.loads(line)['step'])
  except (ValueError, KeyError, TypeError):
    return float('inf')  # cut off when the run was killed
