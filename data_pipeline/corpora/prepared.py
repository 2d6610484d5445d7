"""The TFDS builder shared by all corpora that `data_pipeline.preprocess` prepares."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds
from tqdm import tqdm

from data_pipeline.preparation import store
from data_pipeline.records import Record, part_of_record, record_features
from lpips_jax.core.constants import WINDOW_FRAMES
from lpips_jax.core.errors import UserError

MAX_RECORD_FRAMES = 100  # of a stored record, since the reader of a window reads the whole record
MAX_READ_FRAMES = 155  # of one with a transcript that cannot be divided: the longest of LRS2's main set


class PreparedBuilder(  # type: ignore[call-arg]  # mypy cannot see TFDS: it passes skip_registration on
  tfds.core.GeneratorBasedBuilder, skip_registration=True
):
  """A builder that stores the records in a directory of prepared clips (TFDS: the manual directory).

  It does not need TensorFlow. Records of more than four seconds are stored as several, `<id>+<first frame>`, so that
  the cost of a window does not depend on the length of its clip; those of up to 6.2 s stay whole if they have a
  transcript whose words have no times, for parts of it would be unknown.

  Beside `data_pipeline.records.record_features` they have `text`, the transcript, which is '' where it is unknown:
  where the corpus has none, and in parts of a clip whose words have no times. Versions before 2.1.0 lack it.

  Attributes:
    LAYOUTS: the layouts of `data_pipeline.preprocess` in which this corpus is distributed.
  """

  VERSION = tfds.core.Version('2.1.0')
  RELEASE_NOTES: ClassVar = {
    '2.1.0': 'Transcripts.',
    '2.0.0': 'The mel spectrogram of speech brought to one level.',
    '1.1.0': 'Recognised phones.',
    '1.0.0': 'First release.',
  }
  LAYOUTS: ClassVar[tuple[str, ...]] = ()

  def __init__(self, *, file_format: Any = 'array_record', **kwargs: Any) -> None:
    super().__init__(file_format=file_format or 'array_record', **kwargs)

  def _info(self) -> tfds.core.DatasetInfo:
    return self.dataset_info_from_configs(features=record_features(text=tfds.features.Text()), disable_shuffling=True)

  def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
    directory = Path(dl_manager.manual_dir)
    splits = store.read_splits(directory)
    layout = store.read_settings(directory)['layout']
    if layout not in self.LAYOUTS:
      raise UserError(f'{directory} was prepared in the layout {layout}: {self.name} needs {" or ".join(self.LAYOUTS)}')
    used = {
      split: self._generate_examples(directory, split, clips)
      for split, clips in splits.items()
      if any(store.read_summary(directory, clip).records for clip in clips)  # TFDS has no empty splits
    }
    if not used:
      raise UserError(f'{directory} holds no record: {store.FINISHED} lists the reasons')
    return used

  def _generate_examples(self, directory: Path, split: str, clips: list[str]) -> Iterator[tuple[str, Record]]:
    for clip in tqdm(clips, f'{self.name} {split}', leave=False, unit='clip', disable=None):
      for record in store.read_records(directory, clip):
        for part in split_record(record):
          yield part['id'], {name: value for name, value in part.items() if name != 'words'}


def split_record(record: Record, max_frames: int = MAX_RECORD_FRAMES) -> Iterator[Record]:
  """Yields a record in parts of nearly equal length; a short record stays whole.

  Args:
    record: from `data_pipeline.records.make_record`.
    max_frames: of a part, a multiple of 5.
  """
  frames = len(record['frames'])
  divisible = not record.get('text') or record.get('words')
  if frames <= (max_frames if divisible else max(max_frames, MAX_READ_FRAMES)):
    yield record
    return
  number = -(
    -frames // (max_frames - WINDOW_FRAMES)
  )  # parts start at multiples of 5 frames, so their lengths differ by 5
  edges = [round(k * frames / number / WINDOW_FRAMES) * WINDOW_FRAMES for k in range(number)]
  for first, last in itertools.pairwise([*edges, frames]):
    yield part_of_record(record, first, last, f'{record["id"]}+{first}')
