"""Training windows per second beside PyTorch's DataLoader; needs PyTorch and librosa.

  python -m benchmarks.speed.input --output=input.json

All loaders read the same clips of the embedded corpus at 96 pixels with the same number of workers, in turns: ours from
array records, PyTorch's from directories of .jpg files and a .wav. `released_recipe` works like Wav2Lip's code, where
librosa computes a mel spectrogram for each item; `tuned` is PyTorch at its best (see
`benchmarks.torch_reference.loaders`). `ratios` are ours over each, and `ratio` is ours over the faster one, on clips of
3 seconds with one window per read on every side. The pictures and mels of a window must agree before anything is
measured. A rate `per_core` is divided by the workers' cores, which on shared hardware are less than whole cores: one
worker is therefore measured alone, too. The last figures are our reader's memory early and late.
"""

import importlib.util
import json
import os
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import cv2
import grain
import numpy as np
from absl import flags
from tqdm import tqdm

from benchmarks import commands
from benchmarks.speed import side_by_side
from benchmarks.speed.side_by_side import OURS, Case, Measured
from data_pipeline import corpora
from data_pipeline import input as data
from data_pipeline.batches import in_processes
from data_pipeline.corpora.folder.folder_dataset_builder import Builder
from data_pipeline.corpora.talking_faces.clips import draw_clip
from data_pipeline.preparation import store
from data_pipeline.records import RecordSource, decode_frames, encode_frame, make_record, text
from data_pipeline.windows import GeneratorWindows, window_frames
from lpips_jax.audio.loudness import AS_IS, mel_of
from lpips_jax.audio.mel import mel_windows
from lpips_jax.core import cli
from lpips_jax.core.constants import FRAME_RATE, WINDOW_FRAMES
from lpips_jax.media.speech import write_speech

SIZE, BATCH = 96, 16
CLIPS = {3: 40, 20: 8}  # length in seconds -> number of clips
VIRTUAL_RECORDS = 50_000
QUEUED_BATCHES = 8  # per worker; more than readers prepare ahead
WINDOWS_PER_READ = 1, 2  # configs/lrs2.py has 2
# Mean differences between JPEG codecs, of 255, and between ways to compute mels, of their range of 8.
MAX_PICTURE_DIFFERENCE, MAX_MEL_DIFFERENCE = 3.0, 0.01


Name = TypeVar('Name')


def define_flags() -> None:
  flags.DEFINE_string('output', None, 'JSON file for the figures.')
  flags.DEFINE_integer('workers', os.cpu_count(), 'Processes that read, for each loader.', lower_bound=1)
  flags.DEFINE_integer('windows', 1600, 'Windows read in a turn.', lower_bound=2 * BATCH)
  flags.DEFINE_integer('turns', 5, 'Number of turns of each loader.', lower_bound=1)
  flags.DEFINE_integer('soak', 20_000, 'Windows over which memory is measured; 0 skips this.', lower_bound=0)


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
      for windows in WINDOWS_PER_READ
    }
    theirs = directories[3] / 'wav2lip'
    for row, loader in {'released_recipe': loaders.released, 'tuned': loaders.tuned}.items():
      readers[_group(3, 1), row] = loader(theirs, SIZE, BATCH, given.workers)
    record = corpora.source('folder', 'train', str(directories[3]))[0]
    check_window(record, theirs / text(record['id']))
    rates = _in_turns(readers, given.windows, given.turns)
    figures = {'workers': given.workers, 'cores': cores, 'unit': 'windows/s'} | summary(rates, cores)
    alone = {
      f'ours_{seconds}s': _ours(directory, WINDOWS_PER_READ[-1], 1) for seconds, directory in directories.items()
    }
    rates_alone = _in_turns(alone, given.windows // 2, given.turns)
    figures['windows_per_second_of_one_worker'] = {
      name: statistics.median(values) for name, values in rates_alone.items()
    }
    figures['milliseconds_of_one_core'] = _milliseconds_by_step(directories[3])
    if given.soak:
      figures['resident_megabytes'] = _soak(directories[20], given.soak)
  print(json.dumps({name: x for name, x in figures.items() if name not in ('groups', 'cases')}, indent=2))
  print('\n' + side_by_side.table(figures))
  commands.write_figures(given.output, figures)


def summary(rates: dict[tuple[str, str], list[float]], cores: int) -> dict[str, Any]:
  """Returns `side_by_side.summary` of windows per second by group and reader, and the medians per core."""
  groups: dict[str, Measured] = {}
  for (group, name), values in rates.items():
    groups.setdefault(group, Measured(Case(group, BATCH, BATCH, None))).rates[name] = values
  per_core = {f'{group}, {name}': statistics.median(values) / cores for (group, name), values in rates.items()}
  return side_by_side.summary(list(groups.values())) | {'per_core': per_core}


def _group(seconds: int, windows: int) -> str:
  return f'clips of {seconds} s, {windows} a read'


def _in_turns(readers: Mapping[Name, Iterator], windows: int, turns: int) -> dict[Name, list[float]]:
  """Warms the readers up, and returns each one's windows per second by turn; every second turn reverses the order."""
  batches = windows // BATCH
  rates: dict[Name, list[float]] = {name: [] for name in readers}
  for reader in readers.values():
    _drain(reader, batches // 4)
  for turn in tqdm(range(turns), 'turns', leave=False, disable=None):
    for name in list(readers) if turn % 2 == 0 else list(readers)[::-1]:
      _drain(readers[name], QUEUED_BATCHES * flags.FLAGS.workers)  # queued since its last turn
      begin = time.perf_counter()
      _drain(readers[name], batches)
      rates[name].append(batches * BATCH / (time.perf_counter() - begin))
  return rates


def check_window(record: dict[str, Any], clip: Path) -> None:
  """Compares a window read from our record with the same one read from their clip.

  Raises:
    UserError: they differ.
  """
  from benchmarks.torch_reference import loaders

  start, other = 7, 30
  target, reference, mels, window_mel = loaders.tuned_window(clip, start, other, SIZE)
  mel = mel_of(record['audio'], AS_IS)  # they do not normalise loudness
  ours: dict[str, Any] = {  # with their lead of one frame
    'pictures': [window_frames(record, first, SIZE)[..., ::-1] for first in (start, other)],
    'mels': mel_windows(mel, FRAME_RATE, WINDOW_FRAMES, lead=1 - start),
    'the mel': mel_windows(mel, FRAME_RATE, 1, lead=-start)[0],
  }
  theirs: dict[str, Any] = {'pictures': [target, reference], 'mels': mels, 'the mel': window_mel}
  for name, expected in ours.items():
    apart = np.abs(np.float64(expected) - np.float64(theirs[name])).mean()
    if not apart <= (MAX_PICTURE_DIFFERENCE if name == 'pictures' else MAX_MEL_DIFFERENCE):
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
  """A source repeated to the size of a real corpus: Grain takes longer to shuffle a handful than thousands."""

  def __init__(self, source: RecordSource) -> None:
    self._source = source

  def __len__(self) -> int:
    return len(self._source) * (VIRTUAL_RECORDS // len(self._source))

  def __getitem__(self, index: Any) -> dict[str, Any]:
    return self._source[index % len(self._source)]


def _soak(directory: Path, windows: int) -> dict[str, float]:
  """Peak resident megabytes of this process after a tenth of the windows and after all of them."""
  dataset = _examples(directory, 1)
  resident: dict[str, float] = {}
  for k in tqdm(range(1, windows + 1), 'soak', leave=False, disable=None):
    dataset[k]
    if k in (windows // 10, windows):
      resident[str(k)] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
  return resident


# ---- steps of both, and their corpora


def _milliseconds_by_step(directory: Path) -> dict[str, float]:
  """Milliseconds of one core by step: the least of several rounds, which other work on the machine disturbs least."""
  from benchmarks.torch_reference import loaders

  source = corpora.source('folder', 'train', str(directory))
  clip = next((directory / 'wav2lip').iterdir())
  record, picture = source[0], (clip / '0.jpg').read_bytes()
  window, rng = GeneratorWindows(SIZE, lead=2.0), np.random.default_rng(0)
  steps: dict[str, Callable[[], object]] = {
    'a record of 3 s, read': lambda: source[int(rng.integers(len(source)))],
    'a window of it': lambda: window.random_map(record, rng),
    'a JPEG of 96 px, ours': lambda: decode_frames(record['frames'], [0]),
    'a JPEG of 96 px, theirs': lambda: cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR),
    'a mel of 3 s by librosa': lambda: loaders.mel_of(clip / 'audio.wav'),
    'an item of theirs': lambda: loaders.released_item(clip, 75, SIZE),
    'an item of theirs, tuned': lambda: loaders.tuned_item(clip, 75, SIZE),
  }
  return {name: min(_milliseconds(step) for _ in range(7)) for name, step in steps.items()}


def _milliseconds(step: Callable[[], object], times: int = 50) -> float:
  begin = time.thread_time()
  for _ in range(times):
    step()
  return (time.thread_time() - begin) / times * 1e3


def _make_corpus(directory: Path, seconds: int, clips: int) -> Path:
  """Draws speakers, and writes them twice: as the TFDS corpus `folder`, and as Wav2Lip's directories."""
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
  """Writes a clip like Wav2Lip's preprocessing: (s, s, 3) uint8 RGB frames as .jpg, (S,) int16 speech as .wav."""
  directory.mkdir(parents=True)
  for k, frame in enumerate(frames):
    cv2.imwrite(str(directory / f'{k}.jpg'), frame[..., ::-1])
  write_speech(directory / 'audio.wav', audio)


if __name__ == '__main__':
  define_flags()
  cli.run(main)
