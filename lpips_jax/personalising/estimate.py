"""How long tuning will take, told before it begins: the base's own pace, times what a step has to compute."""

import time
from datetime import timedelta
from typing import NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from lpips_jax import models
from lpips_jax.core.constants import FRAME_RATE
from lpips_jax.pretrained.batches import BATCH
from lpips_jax.pretrained.checkpoint import Pretrained
from lpips_jax.training import step_program

TRIES = 3
PROGRAMS = (
  10  # times the base's own, that compiling all takes: the step, evaluations, judges, dubbing (the demo's: 65 s)
)
TAKES = 6  # of each held-out frame: both generators' with speech, in silence, and for the preview


class Pace(NamedTuple):
  """Attributes:
  frame: seconds in which the base makes a frame.
  step: seconds of a step of tuning, or None where nobody can count what it computes.
  compiling: seconds until the base made the first; few where the program was kept from another time.
  """

  frame: float
  step: float | None
  compiling: float = 0.0


def measure(base: Pretrained, config: ConfigDict) -> Pace:
  """Times the base on some frames, and counts what a step of tuning has to compute beside that.

  Args:
    base: the network to be tuned.
    config: of the run: names the expert.
  """
  inputs = [np.zeros((BATCH, *x.shape[1:]), x.dtype) for x in models.example_inputs(base.config.model)]
  first = _timed(base, inputs)
  seconds = min(_timed(base, inputs) for _ in range(TRIES))
  counted = jax.jit(base.model.apply).lower(base.variables, *inputs).cost_analysis()
  of_step = step_program.count_flops(config) if counted else None
  step = None if not of_step else seconds * of_step / counted['flops']
  return Pace(seconds / BATCH, step, first - seconds)


def told(pace: Pace, steps: int, held_out: float) -> str:
  """Says what takes how long.

  Args:
    pace: from `measure`.
    steps: to be made.
    held_out: seconds of video to be scored and dubbed.
  """
  to_score = held_out * FRAME_RATE * TAKES * pace.frame
  to_compile = PROGRAMS * pace.compiling
  if pace.step is None:
    return f'{shown(to_compile + to_score)} to compile, score and dub, beside {steps} steps whose pace will be told'
  to_train = steps * pace.step
  return (
    f'about {shown(to_compile + to_train + to_score)} from here: {shown(to_compile)} to compile, {shown(to_train)} for '
    f'{steps} steps, {shown(to_score)} to score and dub'
  )


def shown(seconds: float) -> str:
  return str(timedelta(seconds=round(seconds)))


def _timed(network: Pretrained, inputs: list[np.ndarray]) -> float:
  began = time.perf_counter()
  jax.block_until_ready(network(*inputs))
  return time.perf_counter() - began
