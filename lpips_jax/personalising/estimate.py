"""Estimates how long tuning will take, before it starts: the base's own pace, times the operations of a step."""

import time
from datetime import timedelta
from typing import NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from lpips_jax import models
from lpips_jax.core.constants import FRAME_RATE
from lpips_jax.pretrained import Pretrained
from lpips_jax.pretrained.batches import BATCH_SIZE
from lpips_jax.training import step_program

TIMED_CALLS = 3  # the fastest counts
# Compiling everything (the step, evaluations, scorers, dubbing) takes this many times as long as compiling the base:
# 65 s for the demo's generator.
COMPILATIONS = 10
# Frames generated for each held-out frame: by both generators, with speech, in silence and for the preview.
GENERATED_PER_FRAME = 6


class Pace(NamedTuple):
  """The measured speed of a base, and what follows for tuning it.

  Attributes:
    frame: seconds in which the base generates a frame.
    step: seconds of a tuning step; None on devices whose compiler does not count operations.
    compiling: seconds of compiling the base; few if the program was in the compilation cache.
  """

  frame: float
  step: float | None
  compiling: float = 0.0


def measure(base: Pretrained, config: ConfigDict) -> Pace:
  """Times the base on a batch of frames, and counts the operations of a tuning step relative to the base's.

  Args:
    base: the network to be tuned.
    config: of the tuning run; names the sync expert.
  """
  inputs = [np.zeros((BATCH_SIZE, *x.shape[1:]), x.dtype) for x in models.example_inputs(base.config.model)]
  first = _time_call(base, inputs)
  seconds = min(_time_call(base, inputs) for _ in range(TIMED_CALLS))
  cost = jax.jit(base.model.apply).lower(base.variables, *inputs).cost_analysis()
  step_flops = step_program.count_flops(config) if cost else None
  step = seconds * step_flops / cost['flops'] if cost and step_flops else None
  return Pace(seconds / BATCH_SIZE, step, first - seconds)


def describe(pace: Pace, steps: int, held_out: float) -> str:
  """Returns a line that says how long compiling, tuning, scoring and dubbing will take.

  Args:
    pace: from `measure`.
    steps: the number of steps still to be made.
    held_out: seconds of video to be scored and dubbed.
  """
  to_score = held_out * FRAME_RATE * GENERATED_PER_FRAME * pace.frame
  to_compile = COMPILATIONS * pace.compiling
  if pace.step is None:
    rest = format_duration(to_compile + to_score)
    return f'{rest} to compile, score and dub, plus {steps} steps, whose pace will be logged'
  to_train = steps * pace.step
  total, compiling, training, scoring = map(
    format_duration, (to_compile + to_train + to_score, to_compile, to_train, to_score)
  )
  return f'about {total} from here: {compiling} to compile, {training} for {steps} steps, {scoring} to score and dub'


def format_duration(seconds: float) -> str:
  """Returns a duration as h:mm:ss, rounded to seconds."""
  return str(timedelta(seconds=round(seconds)))


def _time_call(network: Pretrained, inputs: list[np.ndarray]) -> float:
  began = time.perf_counter()
  jax.block_until_ready(network(*inputs))
  return time.perf_counter() - began
