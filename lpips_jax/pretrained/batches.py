"""Networks applied to as many frames as a clip has, in batches of one size, on all devices of this process."""

from collections.abc import Callable
from typing import Any

import cv2
import jax
import numpy as np

from lpips_jax.audio.mel import mel_windows
from lpips_jax.core.constants import FRAME_RATE, WINDOW_FRAMES
from lpips_jax.layers.precision import in_full
from lpips_jax.models.inputs import to_unit
from lpips_jax.pretrained.devices import along_batch

BATCH = 25  # frames or windows a call and device; the last call of a clip is filled up: each network compiles once


def in_batches(network: Callable[..., Any], *inputs: np.ndarray) -> Any:
  """Applies a network to n examples, some at a time; returns its arrays with n rows.

  A network that `devices.on_all_devices` spread has its batches divided among them.
  """
  sharding = along_batch(network)
  size = BATCH * (1 if sharding is None else sharding.mesh.size)
  n = len(inputs[0])
  results = []
  for first in range(0, n, size):
    part = [x[first : first + size] for x in inputs]
    filled = [np.concatenate([x, np.repeat(x[-1:], size - len(x), 0)]) for x in part]
    if sharding is not None:
      filled = jax.device_put(filled, sharding)
    results.append(jax.device_get(network(*filled)))
  return jax.tree.map(lambda *parts: np.concatenate(parts)[:n], *results)


@in_full
def embeddings(expert: Callable[..., Any], frames: np.ndarray, mel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Embeddings of the windows that start at each frame but the last four: two arrays (t - 4, d).

  Args:
    expert: a sync expert.
    frames: (t, h, w, 3) crops of the expert's size, uint8 or float in [0, 1].
    mel: (m, 80).
  """
  frames = np.asarray(to_unit(frames))
  windows = np.lib.stride_tricks.sliding_window_view(frames, WINDOW_FRAMES, 0).transpose(0, 4, 1, 2, 3)
  return in_batches(expert, windows, mel_windows(mel, FRAME_RATE, len(windows)))


def at_size(frames: np.ndarray, size: int) -> np.ndarray:
  """Crops (t, h, w, 3) -> (t, size, size, 3), of the same type: means of areas when they shrink, else cubic."""
  if frames.shape[1:3] == (size, size):
    return frames
  how = cv2.INTER_AREA if size < frames.shape[1] else cv2.INTER_CUBIC
  resized = np.stack([cv2.resize(frame, (size, size), interpolation=how) for frame in frames])
  return resized if resized.dtype == np.uint8 else np.clip(resized, 0, 1)
