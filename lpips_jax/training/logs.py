"""Logs of a run for people: a progress line, pictures and videos, and whatever its writers keep of them."""

import contextlib
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Self

import jax
import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from lpips_jax import provenance
from lpips_jax.core.files import shown, write_whole
from lpips_jax.media import pictures
from lpips_jax.media.video_writer import write_clip
from lpips_jax.planning import hardware
from lpips_jax.training import goodput
from lpips_jax.training.writers import JsonLines, open_writers

MAIN_SCALARS = 'loss', 'bce', 'sync', 'accuracy'  # shown in the progress line


class Pace:
  """Steps, frames and operations per second, without the time of evaluations and saves."""

  def __init__(self, frames: int, flops: float | None, devices: Sequence[jax.Device], clock: goodput.Clock):
    """Begins with the first call of `rates`.

    Args:
      frames: video frames of a step.
      flops: floating-point operations of a step, on all devices together, where that is known.
      devices: of one kind, those that make the step.
      clock: of the run.
    """
    chip = hardware.chip(devices[0].device_kind)
    self._peak = chip.flops * len(devices) if chip else None
    self._flops = flops
    self._frames = frames
    self._clock = clock
    self._last: tuple[int, float] | None = None

  def rates(self, step: int) -> dict[str, float]:
    """Returns the rates since the last call; the first call returns none, and starts the count at its step."""
    spent = self._clock.seconds()
    last, self._last = self._last, (step, spent[goodput.STEPS] + spent[goodput.INPUT])
    if last is None:
      return {}
    rate = (step - last[0]) / max(self._last[1] - last[1], 1e-9)
    rates = {'steps_per_second': rate, 'frames_per_second': rate * self._frames}
    if self._flops:
      rates['tflops'] = rate * self._flops / 1e12
    if self._flops and self._peak:
      rates['peak_share'] = rate * self._flops / self._peak
    return rates


class RunLog:
  """The log of a run: what its writers keep, WORKDIR/samples/ and diagnosis/; and a bar, or lines in a file."""

  def __init__(self, workdir: Path, config: ConfigDict, done: int):
    """Opens the log of a run that has made `done` steps; drops what was logged of later ones."""
    self._workdir, self._steps = workdir, config.steps
    self._writers = open_writers(workdir, config, done)
    self._bar = tqdm(total=config.steps, initial=done, desc=config.task, unit='step', dynamic_ncols=True, disable=None)
    if not any(isinstance(writer, JsonLines) for writer in self._writers):
      self.say('config.writers has no jsonl: there will be no report, and goodput counts each attempt by itself')

  def __enter__(self) -> Self:
    return self

  def __exit__(self, problem: type[BaseException] | None, *_: object) -> None:
    self._bar.close()
    for writer in self._writers:
      # Closing repeats a write that failed: then the first failure is the one to report.
      with contextlib.suppress(OSError) if problem else contextlib.nullcontext():
        writer.close(problem is not None)

  def advance(self) -> None:
    """Moves the bar by a step."""
    self._bar.update()

  def train(self, step: int, values: dict[str, float]) -> None:
    """Logs the scalars of a training step, and shows the main ones."""
    self._write_scalars(step, 'train', values)
    texts = [f'{name} {values[name]:.3f}' for name in MAIN_SCALARS if name in values] + _pace_texts(values)
    if not self._bar.disable:
      self._bar.set_postfix_str(', '.join(texts))
      return
    if 'steps_per_second' in values:
      texts.append(f'{timedelta(seconds=round((self._steps - step) / values["steps_per_second"]))} left')
    self.say(f'step {step}/{self._steps}: ' + ', '.join(texts))

  def evaluation(self, step: int, values: dict[str, float]) -> None:
    """Logs and shows the scalars of an evaluation."""
    self._write_scalars(step, 'eval', values)
    self.say(f'step {step}, evaluated: ' + ', '.join(f'{name} {value:.4f}' for name, value in values.items()))

  def times(self, step: int, seconds: Mapping[str, float]) -> None:
    """Logs the seconds of `goodput.Clock` at a step."""
    values = {goodput.GOODPUT: goodput.share(seconds), **seconds}
    self._write_scalars(step, goodput.TIME, {name: round(value, 4) for name, value in values.items()})

  def say(self, line: str) -> None:
    """Shows a line above the bar."""
    self._bar.write(shown(line))
    sys.stdout.flush()

  def samples(self, step: int, rows: Sequence[np.ndarray]) -> None:
    """Logs a picture whose rows are (n, h, w, 3) each."""
    self._log_picture('samples', step, pictures.grid(rows))

  def diagnosis(self, step: int, image: np.ndarray, verdict: str) -> None:
    """Logs the diagnosis of an expert's data: a picture (h, w, 3) uint8 and a line."""
    self._log_picture('diagnosis', step, image)
    self._log_line('diagnosis', step, verdict)

  def clip(self, step: int, image: np.ndarray, line: str) -> None:
    """Logs what a network makes of a clip: a picture (h, w, 3) uint8, among the samples, and a line."""
    self._log_picture('samples', step, image)
    self._log_line('samples', step, line)

  def video(self, step: int, frames: np.ndarray, speech: np.ndarray | None) -> None:
    """Logs a video: frames (t, h, w, 3) uint8, 25 per second; speech (s,) int16 at 16 kHz goes into the file."""
    path = self._workdir / 'samples' / f'{step:07d}.mp4'
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = frames.shape[1:3]
    write_clip(path, frames, (height, width), speech, provenance.marks(provenance.Statement('dubbed')))
    for writer in self._writers:
      writer.video(step, 'video', frames, path)

  def _write_scalars(self, step: int, kind: str, values: dict[str, float]) -> None:
    for writer in self._writers:
      writer.scalars(step, kind, values)

  def _log_picture(self, kind: str, step: int, image: np.ndarray) -> None:
    for writer in self._writers:
      writer.picture(step, kind, image)
    pictures.write_png(self._workdir / kind / f'{step:07d}.png', image)

  def _log_line(self, kind: str, step: int, line: str) -> None:
    for writer in self._writers:
      writer.text(step, kind, line)
    write_whole(self._workdir / kind / f'{step:07d}.txt', line + '\n')
    self.say(f'step {step}, {kind}: {line}')


def _pace_texts(values: dict[str, float]) -> list[str]:
  formats = {
    'steps_per_second': '{:.2f} steps/s',
    'frames_per_second': '{:.0f} frames/s',
    'tflops': '{:.3f} TFLOP/s',
    'peak_share': '{:.0%} of peak',
  }
  return [text.format(values[name]) for name, text in formats.items() if name in values]
