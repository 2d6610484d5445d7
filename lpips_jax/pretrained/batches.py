"""Networks applied to clips of any length, in batches of one size, on all devices of this process."""

from collections.abc import Callable
from typing import Any

import cv2
import jax
import numpy as np

from lpips_jax.audio.mel import mel_windows
from lpips_jax.core.constants import FRAME_RATE, WINDOW_FRAMES
from lpips_jax.layers.precision import full_precision
from lpips_jax.models.inputs import to_unit
from lpips_jax.pretrained.devices import batch_sharding

BATCH_SIZE = 25  # frames or windows per call and device; a clip's last batch is padded, so each network compiles once


def in_batches(network: Callable[..., Any], *inputs: np.ndarray) -> Any:
  """Applies a network to n examples, batch by batch.

  The batches of a network that `devices.on_all_devices` spread are divided among its devices.

  Args:
    network: a function of arrays with a leading batch dimension.
    *inputs: its inputs, (n, ...) each.

  Returns:
    What the network returns, as NumPy arrays with n rows.
  """
  sharding = batch_sharding(network)
  size = BATCH_SIZE * (1 if sharding is None else sharding.mesh.size)
  n = len(inputs[0])
  results = []
  for first in range(0, n, size):
    batch = [x[first : first + size] for x in inputs]
    padded = [np.concatenate([x, np.repeat(x[-1:], size - len(x), 0)]) for x in batch]
    if sharding is not None:
      padded = jax.device_put(padded, sharding)
    results.append(jax.device_get(network(*padded)))
  return jax.tree.map(lambda *parts: np.concatenate(parts)[:n], *results)


@full_precision
def embeddings(expert: Callable[..., Any], frames: np.ndarray, mel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Returns a sync expert's embeddings of faces and of speech, (t - 4, d) each: one per window of five frames.

  Args:
    expert: (frames (n, 5, h, w, 3), windows of speech (n, 80, 16)) -> two embeddings (n, d).
    frames: (t, h, w, 3) crops of the expert's size, uint8 or float in [0, 1].
    mel: (m, 80).
  """
  frames = np.asarray(to_unit(frames))
  windows = np.lib.stride_tricks.sliding_window_view(frames, WINDOW_FRAMES, 0).transpose(0, 4, 1, 2, 3)
  return in_batches(expert, windows, mel_windows(mel, FRAME_RATE, len(windows)))


def at_size(frames: np.ndarray, size: int) -> np.ndarray:
  """Resizes crops (t, h, w, 3) to (t, size, size, 3), of the same dtype: by area when they shrink, else bicubic."""
  if frames.shape[1:3] == (size, size):
    return frames
  interpolation = cv2.INTER_AREA if size < frames.shape[1] else cv2.INTER_CUBIC
  resized = np.stack([cv2.resize(frame, (size, size), interpolation=interpolation) for frame in frames])
  return resized if resized.dtype == np.uint8 else np.clip(resized, 0, 1)
