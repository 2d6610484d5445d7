"""The form that training steps have, whichever network they train, and what all of them are given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from lpips_jax.audio.av_features import AV_FEATURES
from lpips_jax.layers.shapes import AnyArray
from lpips_jax.training.state import TrainState, Variables

Batch = dict[str, jax.Array]
Shapes = dict[str, jax.ShapeDtypeStruct]  # of a batch
Metrics = dict[str, jax.Array]  # () each
Pictures = dict[str, AnyArray]  # (n, h, w, 3) in [0, 1] each
FrozenVariables = dict[str, Any]  # of networks that are used and not trained, by name
Step = Callable[[TrainState, Batch, FrozenVariables], tuple[TrainState, Metrics]]
Evaluation = Callable[[Variables, Batch, FrozenVariables], tuple[Metrics, Pictures]]


@dataclass(frozen=True)
class StepSettings:
  """The settings of a step that do not depend on its losses: how gradients are computed, and how they update the state.

  Attributes:
    optimizer: updates every network that is trained; each has its own state of it.
    learning_rate: the rate by step, which `optimizer` already has: it is reported.
    average_decay: how much of the moving average stays at each step.
    accumulate: micro-batches that a batch is worked through in, to save memory.
    remat: whether cheap activations are computed twice instead of stored, to save memory.
    seed: of whatever a step draws.
    steps: of the whole run.
  """

  optimizer: optax.GradientTransformation
  learning_rate: optax.Schedule
  average_decay: float
  accumulate: int = 1
  remat: bool = False
  seed: int = 0
  steps: int = 1


@dataclass(frozen=True)
class Task:
  """A network to train.

  Attributes:
    init: makes the state before the first step.
    step: (state, batch, frozen variables) -> (state, metrics).
    evaluate: (variables, batch, frozen variables) -> (metrics, pictures by name).
    gates: thresholds by the name of a metric: once it is evaluated below, the loss of that name begins to count.
  """

  init: Callable[[], TrainState]
  step: Step
  evaluate: Evaluation
  gates: Mapping[str, float] = field(default_factory=dict)


def apply(module: nn.Module, variables: Variables, *inputs: AnyArray, **options: Any) -> Any:
  """Calls `module.apply`, whose declared type is a union over all that `options` may make it return."""
  return module.apply(variables, *inputs, **options)


def clip_shapes(clips: int, frames: int, image_size: int, labels: int) -> Shapes:
  """Returns the shapes of whole clips in a batch: see `data_pipeline.clip_windows`."""
  return {
    'frames': jax.ShapeDtypeStruct((clips, frames, image_size, image_size, 3), jnp.uint8),
    'sound': jax.ShapeDtypeStruct((clips, frames, AV_FEATURES), jnp.float32),
    'length': jax.ShapeDtypeStruct((clips,), jnp.int32),
    'labels': jax.ShapeDtypeStruct((clips, labels), jnp.int32),
    'frame_labels': jax.ShapeDtypeStruct((clips, frames), jnp.int32),
  }
