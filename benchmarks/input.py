"""Training windows a second, beside a PyTorch DataLoader that does what Wav2Lip's does; needs PyTorch.

  python -m benchmarks.input --output=input.json

Both read the same clips of the embedded corpus at 96 pixels with the same number of workers, in turns: ours from array
records, the other from directories of .jpg files and a .wav, of which it makes the mel spectrogram by librosa at each
item. `ratio` is ours over theirs on clips of 3 seconds, a window a read on either side; a rate `per_core` is divided by
the cores that the workers have, which on shared hardware are less than cores: hence one worker by itself, too. The last
figures say how much memory our reader takes early and late.
"""

import json
import os
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import cv2
import grain
import numpy as np
from absl import flags
from tqdm import tqdm

from data_pipeline import corpora
from data_pipeline import input as data
from data_pipeline.corpora.folder.folder_dataset_builder import Builder
from data_pipeline.corpora.talking_faces.clips import draw_clip
from data_pipeline.preparation import store
from data_pipeline.records import decode_frames, encode_frame, make_record
from data_pipeline.windows import GeneratorWindows
from lpips_jax import cli
from lpips_jax.files import write_whole
from lpips_jax.media.sound import write_speech

SIZE, BATCH = 96, 16
CLIPS = {3: 40, 20: 8}  # seconds -> how many clips of that length
MEL_STEP = 16
RECORDS = 50_000
WINDOWS_A_READ = 1, 2  # the second is what configs/lrs2.py asks for


def define_flags() -> None:
  flags.DEFINE_string('output', None, 'Writes the figures there as JSON, too.')
  flags.DEFINE_integer('workers', os.cpu_count(), 'Processes that read, on either side.', lower_bound=1)
  flags.DEFINE_integer('windows', 1600, 'How many are read in a turn.', lower_bound=BATCH)
  flags.DEFINE_integer('turns', 5, 'How often each side is measured.', lower_bound=1)
  flags.DEFINE_integer('soak', 20_000, 'Windows over which memory is watched; 0 for none.', lower_bound=0)


def main() -> None:
  given = flags.FLAGS
  cores = min(given.workers, os.cpu_count())
  with tempfile.TemporaryDirectory() as temporary:
    directories = {seconds: _make_corpus(Path(temporary) / str(seconds), seconds, n) for seconds, n in CLIPS.items()}
    readers = {
      f'ours_{seconds}s_{windows}_a_read': _ours(directory, windows, given.workers)
      for seconds, directory in directories.items()
      for windows in WINDOWS_A_READ
    }
    readers['wav2lip_3s'] = _theirs(directories[3] / 'wav2lip', given.workers)
    rates = _in_turns(readers, given.windows, given.turns)
    figures = {'workers': given.workers, 'cores': cores, 'ratio': rates['ours_3s_1_a_read'] / rates['wav2lip_3s']}
    figures |= {'windows_per_second': rates, 'per_core': {name: rate / cores for name, rate in rates.items()}}
    alone = {f'ours_{seconds}s': _ours(directory, WINDOWS_A_READ[-1], 1) for seconds, directory in directories.items()}
    figures['windows_per_second_of_one_worker'] = _in_turns(alone, given.windows // 2, given.turns)
    figures['milliseconds_of_one_core'] = _pieces(directories[3])
    if given.soak:
      figures['resident_megabytes'] = _soak(directories[20], given.soak)
  print(json.dumps(figures, indent=2))
  if given.output:
    write_whole(Path(given.output), json.dumps(figures, indent=2) + '\n')


def _in_turns(readers: dict[str, Iterator], windows: int, turns: int) -> dict[str, float]:
  """Returns the median windows a second of each reader; all of them have warmed up first."""
  batches = windows // BATCH
  rates = {name: [] for name in readers}
  for turn in tqdm(range(turns + 1), 'turns', leave=False, disable=None):
    for name, reader in readers.items():
      if turn == 0:
        _drain(reader, batches // 4)
        continue
      _drain(reader, 4)  # what waits in queues since its last turn
      begin = time.perf_counter()
      _drain(reader, batches)
      rates[name].append(batches * BATCH / (time.perf_counter() - begin))
  return {name: statistics.median(values) for name, values in rates.items()}


def _drain(reader: Iterator, batches: int) -> None:
  for _ in range(batches):
    next(reader)


# ---- ours


def _ours(directory: Path, windows: int, workers: int) -> Iterator:
  return iter(data.in_processes(data.batched(_examples(directory, windows), BATCH // windows), workers))


def _examples(directory: Path, windows: int) -> grain.MapDataset:
  source = _Repeated(corpora.source('folder', 'train', str(directory)))
  return data.examples(source, 0, GeneratorWindows(SIZE, lead=2.0, windows=windows))


class _Repeated:
  """As many records as a real corpus has: shuffling a handful takes Grain longer than shuffling thousands."""

  def __init__(self, source: Sequence):
    self._source = source

  def __len__(self) -> int:
    return len(self._source) * (RECORDS // len(self._source))

  def __getitem__(self, number: int) -> dict:
    return self._source[number % len(self._source)]


def _soak(directory: Path, windows: int) -> dict[str, float]:
  """The most memory that this process has had resident after a tenth of the windows and after all of them."""
  dataset = _examples(directory, 1)
  resident = {}
  for k in tqdm(range(1, windows + 1), 'soak', leave=False, disable=None):
    dataset[k]
    if k in (windows // 10, windows):
      resident[str(k)] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
  return resident


# ---- Wav2Lip's way


def _theirs(directory: Path, workers: int) -> Iterator:
  import torch
  from torch.utils.data import DataLoader

  class Clips(torch.utils.data.Dataset):
    def __init__(self) -> None:
      self.clips = sorted(directory.iterdir())

    def __len__(self) -> int:
      return 1_000_000  # it draws a clip at random, as theirs does, and an epoch should not end meanwhile

    def __getitem__(self, _: int) -> tuple:
      return tuple(torch.from_numpy(x) for x in _their_item(self.clips[np.random.randint(len(self.clips))]))

  return iter(DataLoader(Clips(), batch_size=BATCH, num_workers=workers))


def _their_item(clip: Path) -> tuple[np.ndarray, ...]:
  """The input pictures, the mels, the window's mel and the target of five frames, as float32 arrays."""
  last = len(list(clip.glob('*.jpg'))) - 5
  start, other = np.random.randint(last + 1), np.random.randint(last + 1)
  window, wrong = (_their_frames(clip, first) for first in (start, other))
  mel = _their_mel(clip / 'audio.wav')
  starts = [max(0, int(80 * (frame - 1) / 25)) for frame in range(start, start + 5)]
  mels = np.stack([_filled(mel[first : first + MEL_STEP]).T for first in starts])[:, None]
  first = int(80 * start / 25)
  target = window.copy()
  window[:, :, SIZE // 2 :] = 0
  return np.concatenate([window, wrong]), mels, _filled(mel[first : first + MEL_STEP]).T[None], target


def _their_frames(clip: Path, start: int) -> np.ndarray:
  frames = [cv2.resize(cv2.imread(str(clip / f'{k}.jpg')), (SIZE, SIZE)) for k in range(start, start + 5)]
  return np.transpose(np.float32(frames) / 255, (3, 0, 1, 2))


def _their_mel(path: Path) -> np.ndarray:
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


def _filled(mel: np.ndarray) -> np.ndarray:
  return np.pad(mel, ((0, MEL_STEP - len(mel)), (0, 0)), 'edge')


# ---- pieces of both, and what they read


def _pieces(directory: Path) -> dict[str, float]:
  """Milliseconds of one core: the least of several rounds, so that what else runs here counts for little."""
  source = corpora.source('folder', 'train', str(directory))
  clip = next((directory / 'wav2lip').iterdir())
  record, picture = source[0], (clip / '0.jpg').read_bytes()
  window, rng = GeneratorWindows(SIZE, lead=2.0), np.random.default_rng(0)
  pieces: dict[str, Callable[[], object]] = {
    'a record of 3 s, read': lambda: source[int(rng.integers(len(source)))],
    'a window of it': lambda: window.random_map(record, rng),
    'a JPEG of 96 px, ours': lambda: decode_frames(record['frames'], [0]),
    'a JPEG of 96 px, theirs': lambda: cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR),
    'a mel of 3 s by librosa': lambda: _their_mel(clip / 'audio.wav'),
    'an item of theirs': lambda: _their_item(clip),
  }
  return {name: min(_milliseconds(piece) for _ in range(7)) for name, piece in pieces.items()}


def _milliseconds(piece: Callable[[], object], times: int = 50) -> float:
  begin = time.thread_time()
  for _ in range(times):
    piece()
  return (time.thread_time() - begin) / times * 1e3


def _make_corpus(directory: Path, seconds: int, clips: int) -> Path:
  """Draws speakers, and lays them down twice: as the TFDS corpus `folder`, and as Wav2Lip's directories."""
  prepared = directory / 'prepared'
  names = [f'{number:03}' for number in range(clips)]
  with store.working_in(prepared, {'layout': 'folder'}):
    for number, name in enumerate(tqdm(names, f'drawing clips of {seconds} s', leave=False, disable=None)):
      clip = draw_clip(0, 'train', number, 0, seconds)
      frames = list(clip.crops(SIZE))
      record = make_record(name, name, [encode_frame(frame) for frame in frames], clip.audio, clip.boxes)
      store.write_outcome(prepared, store.Outcome(name, [record], [{'face': float(SIZE)}], seconds=seconds))
      _write_their_clip(directory / 'wav2lip' / name, frames, clip.audio)
    store.write_splits(prepared, {'train': names})
    (prepared / store.FINISHED).touch()
  config = corpora.tfds.download.DownloadConfig(manual_dir=prepared)
  Builder(data_dir=directory).download_and_prepare(download_config=config)
  shutil.rmtree(prepared)
  return directory


def _write_their_clip(directory: Path, frames: list[np.ndarray], audio: np.ndarray) -> None:
  directory.mkdir(parents=True)
  for k, frame in enumerate(frames):
    cv2.imwrite(str(directory / f'{k}.jpg'), frame[..., ::-1])
  write_speech(directory / 'audio.wav', audio)


if __name__ == '__main__':
  define_flags()
  cli.run(main)
