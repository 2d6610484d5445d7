"""Training windows a second, beside PyTorch's DataLoader; needs PyTorch and librosa.

  python -m benchmarks.input --output=input.json

All read the same clips of the embedded corpus at 96 pixels with the same number of workers, in turns: ours from array
records, PyTorch's from directories of .jpg files and a .wav. `released_recipe` does what Wav2Lip's code does, and makes
the mel spectrogram by librosa at each item; `tuned` is PyTorch at its best (see `benchmarks.torch_reference.loaders`).
`ratios` are ours over each, and `ratio` ours over the faster one, on clips of 3 seconds, a window a read on every side.
Pictures and mels of a window must agree first. A rate `per_core` is divided by the cores that the workers have, which
on shared hardware are less than cores: hence one worker by itself, too. The last figures say how much memory our reader
takes early and late.
"""

import importlib.util
import json
import os
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import grain
import numpy as np
from absl import flags
from tqdm import tqdm

from benchmarks import commands, side_by_side
from benchmarks.side_by_side import OURS, Case, Measured
from data_pipeline import corpora
from data_pipeline import input as data
from data_pipeline.batches import in_processes
from data_pipeline.corpora.folder.folder_dataset_builder import Builder
from data_pipeline.corpora.talking_faces.clips import draw_clip
from data_pipeline.preparation import store
from data_pipeline.records import decode_frames, encode_frame, make_record, text
from data_pipeline.windows import GeneratorWindows, window_frames
from lpips_jax.audio.loudness import AS_IS, mel_of
from lpips_jax.audio.mel import mel_windows
from lpips_jax.core import cli
from lpips_jax.core.constants import FRAME_RATE, WINDOW_FRAMES
from lpips_jax.core.files import write_whole
from lpips_jax.media.speech import write_speech

SIZE, BATCH = 96, 16
CLIPS = {3: 40, 20: 8}  # seconds -> how many clips of that length
RECORDS = 50_000
WAITING = 8  # batches for each worker, more than readers have ready
WINDOWS_A_READ = 1, 2  # the second is what configs/lrs2.py asks for
# Ways to code JPEGs, and to make mels, differ by so much in the mean: of 255, and of the 8 that mels range over.
PICTURES_APART, MELS_APART = 3.0, 0.01


def define_flags() -> None:
  flags.DEFINE_string('output', None, 'Writes the figures there as JSON, too.')
  flags.DEFINE_integer('workers', os.cpu_count(), 'Processes that read, on either side.', lower_bound=1)
  flags.DEFINE_integer('windows', 1600, 'How many are read in a turn.', lower_bound=2 * BATCH)
  flags.DEFINE_integer('turns', 5, 'How often each side is measured.', lower_bound=1)
  flags.DEFINE_integer('soak', 20_000, 'Windows over which memory is watched; 0 for none.', lower_bound=0)


def main() -> None:
  given = flags.FLAGS
  commands.require_directory_of(given.output)
  if missing := [name for name in ('torch', 'librosa') if not importlib.util.find_spec(name)]:
    cli.fail(f"this needs {' and '.join(missing)}: pip install -e '.[convert,test]'")
  from benchmarks.torch_reference import loaders

  cores = min(given.workers, os.cpu_count())
  with tempfile.TemporaryDirectory() as temporary:
    directories = {seconds: _make_corpus(Path(temporary) / str(seconds), seconds, n) for seconds, n in CLIPS.items()}
    readers = {
      (_group(seconds, windows), OURS): _ours(directory, windows, given.workers)
      for seconds, directory in directories.items()
      for windows in WINDOWS_A_READ
    }
    theirs = directories[3] / 'wav2lip'
    for row, loader in {'released_recipe': loaders.released, 'tuned': loaders.tuned}.items():
      readers[_group(3, 1), row] = loader(theirs, SIZE, BATCH, given.workers)
    record = corpora.source('folder', 'train', str(directories[3]))[0]
    check_window(record, theirs / text(record['id']))
    rates = _in_turns(readers, given.windows, given.turns)
    figures = {'workers': given.workers, 'cores': cores, 'unit': 'windows/s'} | summary(rates, cores)
    alone = {f'ours_{seconds}s': _ours(directory, WINDOWS_A_READ[-1], 1) for seconds, directory in directories.items()}
    alone = _in_turns(alone, given.windows // 2, given.turns)
    figures['windows_per_second_of_one_worker'] = {name: statistics.median(values) for name, values in alone.items()}
    figures['milliseconds_of_one_core'] = _pieces(directories[3])
    if given.soak:
      figures['resident_megabytes'] = _soak(directories[20], given.soak)
  print(json.dumps({name: x for name, x in figures.items() if name not in ('groups', 'cases')}, indent=2))
  print('\n' + side_by_side.table(figures))
  if given.output:
    write_whole(Path(given.output), json.dumps(figures, indent=2) + '\n')


def summary(rates: dict[tuple[str, str], list[float]], cores: int) -> dict[str, Any]:
  """Returns `side_by_side.summary` of windows a second, by group and reader, and the medians divided by the cores."""
  groups: dict[str, Measured] = {}
  for (group, name), values in rates.items():
    groups.setdefault(group, Measured(Case(group, BATCH, BATCH, None))).rates[name] = values
  per_core = {f'{group}, {name}': statistics.median(values) / cores for (group, name), values in rates.items()}
  return side_by_side.summary(list(groups.values())) | {'per_core': per_core}


def _group(seconds: int, windows: int) -> str:
  return f'clips of {seconds} s, {windows} a read'


def _in_turns(readers: dict[Any, Iterator], windows: int, turns: int) -> dict[Any, list[float]]:
  """Returns windows a second of each reader in each turn, which go the other way round every second time.

  All of them have warmed up first.
  """
  batches = windows // BATCH
  rates = {name: [] for name in readers}
  for reader in readers.values():
    _drain(reader, batches // 4)
  for turn in tqdm(range(turns), 'turns', leave=False, disable=None):
    for name in list(readers) if turn % 2 == 0 else list(readers)[::-1]:
      _drain(readers[name], WAITING * flags.FLAGS.workers)  # what waits in queues since its last turn
      begin = time.perf_counter()
      _drain(readers[name], batches)
      rates[name].append(batches * BATCH / (time.perf_counter() - begin))
  return rates


def check_window(record: dict[str, Any], clip: Path) -> None:
  """Compares a window as it is read of our record and of their clip; raises UserError if it is not the same."""
  from benchmarks.torch_reference import loaders

  start, other = 7, 30
  target, reference, mels, window_mel = loaders.tuned_window(clip, start, other, SIZE)
  mel = mel_of(record['audio'], AS_IS)  # their speech is not brought to one level
  ours = {  # with their lead, which is a frame
    'pictures': [window_frames(record, first, SIZE)[..., ::-1] for first in (start, other)],
    'mels': mel_windows(mel, FRAME_RATE, WINDOW_FRAMES, lead=1 - start),
    'the mel': mel_windows(mel, FRAME_RATE, 1, lead=-start)[0],
  }
  theirs = {'pictures': [target, reference], 'mels': mels, 'the mel': window_mel}
  for name, expected in ours.items():
    apart = np.abs(np.float64(expected) - np.float64(theirs[name])).mean()
    if not apart <= (PICTURES_APART if name == 'pictures' else MELS_APART):
      cli.fail(f'{name} of a window are {apart:.2g} from ours: not the same work')


def _drain(reader: Iterator, batches: int) -> None:
  for _ in range(batches):
    next(reader)


# ---- ours


def _ours(directory: Path, windows: int, workers: int) -> Iterator:
  return iter(in_processes(data.batched(_examples(directory, windows), BATCH // windows), workers))


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


# ---- pieces of both, and what they read


def _pieces(directory: Path) -> dict[str, float]:
  """Milliseconds of one core: the least of several rounds, so that what else runs here counts for little."""
  from benchmarks.torch_reference import loaders

  source = corpora.source('folder', 'train', str(directory))
  clip = next((directory / 'wav2lip').iterdir())
  record, picture = source[0], (clip / '0.jpg').read_bytes()
  window, rng = GeneratorWindows(SIZE, lead=2.0), np.random.default_rng(0)
  pieces: dict[str, Callable[[], object]] = {
    'a record of 3 s, read': lambda: source[int(rng.integers(len(source)))],
    'a window of it': lambda: window.random_map(record, rng),
    'a JPEG of 96 px, ours': lambda: decode_frames(record['frames'], [0]),
    'a JPEG of 96 px, theirs': lambda: cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR),
    'a mel of 3 s by librosa': lambda: loaders.mel_of(clip / 'audio.wav'),
    'an item of theirs': lambda: loaders.released_item(clip, 75, SIZE),
    'an item of theirs, tuned': lambda: loaders.tuned_item(clip, 75, SIZE),
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
      store.write_clip_result(prepared, store.ClipResult(name, [record], [{'face': float(SIZE)}], seconds=seconds))
      write_their_clip(directory / 'wav2lip' / name, frames, clip.audio)
    store.write_splits(prepared, {'train': names})
    (prepared / store.FINISHED).touch()
  config = corpora.tfds.download.DownloadConfig(manual_dir=prepared)
  Builder(data_dir=directory).download_and_prepare(download_config=config)
  shutil.rmtree(prepared)
  return directory


def write_their_clip(directory: Path, frames: list[np.ndarray], audio: np.ndarray) -> None:
  """As Wav2Lip's preprocessing leaves clips: (s, s, 3) uint8 RGB frames as .jpg files, (S,) int16 speech as .wav."""
  directory.mkdir(parents=True)
  for k, frame in enumerate(frames):
    cv2.imwrite(str(directory / f'{k}.jpg'), frame[..., ::-1])
  write_speech(directory / 'audio.wav', audio)


if __name__ == '__main__':
  define_flags()
  cli.run(main)
