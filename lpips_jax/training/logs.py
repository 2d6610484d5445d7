"""What a person sees of a run: a progress bar, TensorBoard, a JSON line for every set of scalars, sample pictures."""

import json
from pathlib import Path
from typing import Self

import numpy as np
from tensorboardX import SummaryWriter
from tqdm import tqdm

from lpips_jax.media import pictures


class RunLog:
  """Writes WORKDIR/metrics.jsonl, WORKDIR/tensorboard and WORKDIR/samples; draws a progress bar, on a terminal."""

  def __init__(self, workdir: Path, steps: int, done: int, title: str):
    """Continues the log of a run that has made `done` of its `steps`; what it logged later than that is dropped."""
    self._workdir = workdir
    self._lines = _reopen(workdir / 'metrics.jsonl', done)
    self._board = SummaryWriter(str(workdir / 'tensorboard'), purge_step=done + 1)
    self._bar = tqdm(total=steps, initial=done, desc=title, unit='step', dynamic_ncols=True, disable=None)

  def __enter__(self) -> Self:
    return self

  def __exit__(self, *_: object) -> None:
    self._bar.close()
    self._board.close()
    self._lines.close()

  def advance(self) -> None:
    self._bar.update()

  def scalars(self, step: int, kind: str, values: dict[str, float]) -> None:
    """Logs the scalars of a step; `kind` is 'train' or 'eval'."""
    self._lines.write(json.dumps({'step': step, 'kind': kind} | values) + '\n')
    self._lines.flush()
    for name, value in values.items():
      self._board.add_scalar(f'{kind}/{name}', value, step)
    if kind == 'train':
      self._bar.set_postfix({name: f'{value:.3f}' for name, value in values.items() if name != 'sync_open'})
    else:
      self._bar.write(f'step {step}: ' + ', '.join(f'{name} {value:.4f}' for name, value in values.items()))

  def samples(self, step: int, rows: list[np.ndarray]) -> None:
    """Logs a picture whose rows are (n, h, w, 3) each."""
    image = pictures.grid(rows)
    self._board.add_image('samples', image, step, dataformats='HWC')
    pictures.write_png(self._workdir / 'samples' / f'{step:07d}.png', image)


def _reopen(path: Path, done: int):
  """Opens a JSON-lines file for appending, without the lines of steps that will be made again."""
  kept = []
  if path.exists():
    kept = [line for line in path.read_text().splitlines() if _step(line) <= done]
  path.write_text(''.join(line + '\n' for line in kept))
  return path.open('a')


def _step(line: str) -> float:
  try:
    return json.loads(line)['step']
  except (ValueError, KeyError):
    return float('inf')  # cut off when the run was killed
