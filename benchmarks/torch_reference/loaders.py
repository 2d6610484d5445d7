"""Training windows from PyTorch's DataLoader: read as in Wav2Lip's code, and as fast as PyTorch can.

Both loaders read a directory per clip, with 0.jpg, 1.jpg, ... and audio.wav, at 25 frames per second and 16 kHz.
"""

from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from lpips_jax.core.constants import FRAME_RATE, MEL_RATE, MEL_WINDOW, WINDOW_FRAMES

EPOCH_ITEMS = 1_000_000  # so many that no epoch ends: clips are drawn at random
MEL_FILE = 'mel.npy'
PREFETCH_FACTOR = 4  # batches that each worker of the tuned loader prepares ahead

Item = tuple[np.ndarray, ...]


def released(directory: Path, size: int, batch_size: int, workers: int) -> Iterator:
  """Batches as in Wav2Lip's code: float pictures, and a mel that librosa computes for each item."""
  clips = _Clips(directory, partial(released_item, size=size))
  return iter(DataLoader(clips, batch_size, num_workers=workers))


def tuned(directory: Path, size: int, batch_size: int, workers: int) -> Iterator:
  """The same batches at PyTorch's best: mels computed once and stored beside the clips, pictures as bytes.

  Scaling, masking and moving channels first are left to the network's device, where they cost nothing. Workers persist,
  prepare several batches ahead, and have one thread each.
  """
  clips = _Clips(directory, partial(tuned_item, size=size))
  for clip in clips.clips:
    store_mel(clip)
  loader = DataLoader(
    clips,
    batch_size,
    num_workers=workers,
    persistent_workers=True,
    prefetch_factor=PREFETCH_FACTOR,
    worker_init_fn=lambda _: cv2.setNumThreads(0),
  )
  return iter(loader)


class _Clips(Dataset):
  """Windows of random clips, whatever the index."""

  def __init__(self, directory: Path, item: Callable[..., Item]) -> None:
    self.clips = sorted(directory.iterdir())
    self._frames = [len(list(clip.glob('*.jpg'))) for clip in self.clips]
    self._item = item

  def __len__(self) -> int:
    return EPOCH_ITEMS

  def __getitem__(self, _: int) -> tuple[torch.Tensor, ...]:
    number = np.random.randint(len(self.clips))
    return tuple(map(torch.from_numpy, self._item(self.clips[number], self._frames[number])))


def released_item(clip: Path, _: int, size: int) -> Item:
  """The input pictures, the mels, the window's mel and the target of five frames, as float32 arrays."""
  last = len(list(clip.glob('*.jpg'))) - WINDOW_FRAMES  # counted for each item, as in Wav2Lip's code
  start, other = np.random.randint(last + 1), np.random.randint(last + 1)
  window, wrong = (
    np.transpose(np.asarray(_frames(clip, first, size), np.float32) / 255, (3, 0, 1, 2)) for first in (start, other)
  )
  mels, window_mel = _windows(mel_of(clip / 'audio.wav'), start)
  target = window.copy()
  window[:, :, size // 2 :] = 0
  return np.concatenate([window, wrong]), mels[:, None], window_mel[None], target


def store_mel(clip: Path) -> None:
  """Computes a clip's mel, and stores it beside its sound."""
  np.save(clip / MEL_FILE, mel_of(clip / 'audio.wav'))


def tuned_item(clip: Path, frames: int, size: int) -> Item:
  """A random window: see `tuned_window`."""
  last = frames - WINDOW_FRAMES
  return tuned_window(clip, np.random.randint(last + 1), np.random.randint(last + 1), size)


def tuned_window(clip: Path, start: int, other: int, size: int) -> Item:
  """Five frames from `start` and five from `other`, (5, s, s, 3) uint8 BGR each, the mels and the window's mel."""
  mels, window_mel = _windows(np.load(clip / MEL_FILE), start)
  return np.stack(_frames(clip, start, size)), np.stack(_frames(clip, other, size)), mels, window_mel


def mel_of(path: Path) -> np.ndarray:
  """The mel spectrogram of a sound file, computed as in Wav2Lip's code: (t, 80) float32."""
  import librosa

  samples, _ = librosa.load(path, sr=16000)
  emphasised = np.append(samples[:1], samples[1:] - 0.97 * samples[:-1])
  magnitude = np.abs(librosa.stft(emphasised, n_fft=800, hop_length=200, win_length=800))
  level = 20 * np.log10(np.maximum(1e-5, _filters() @ magnitude)) - 20
  return np.clip(8 * (level + 100) / 100 - 4, -4, 4).T.astype(np.float32)


@cache
def _filters() -> np.ndarray:
  import librosa

  return librosa.filters.mel(sr=16000, n_fft=800, n_mels=80, fmin=55, fmax=7600)


def _frames(clip: Path, start: int, size: int) -> list[np.ndarray]:
  """Five frames, (s, s, 3) uint8 BGR, resized if they have another size."""
  pictures = (np.asarray(cv2.imread(str(clip / f'{k}.jpg'))) for k in range(start, start + WINDOW_FRAMES))
  return [x if x.shape[:2] == (size, size) else cv2.resize(x, (size, size)) for x in pictures]


def _windows(mel: np.ndarray, start: int) -> tuple[np.ndarray, np.ndarray]:
  """The mels of five frames, (5, 80, 16), each starting a frame before its own; and the window's mel, (80, 16)."""
  starts = [max(0, MEL_RATE * (frame - 1) // FRAME_RATE) for frame in range(start, start + WINDOW_FRAMES)]
  mels = [_filled(mel[first : first + MEL_WINDOW]).T for first in starts]
  return np.stack(mels), np.ascontiguousarray(_filled(mel[MEL_RATE * start // FRAME_RATE :][:MEL_WINDOW]).T)


def _filled(mel: np.ndarray) -> np.ndarray:
  return np.pad(mel, ((0, MEL_WINDOW - len(mel)), (0, 0)), 'edge')
