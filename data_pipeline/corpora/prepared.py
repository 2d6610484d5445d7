"""The TFDS builder of corpora that are prepared by `data_pipeline.preprocess`; each of them says what is its own."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds
from tqdm import tqdm

from data_pipeline.preparation import store
from data_pipeline.records import clip_features, part_of_record
from lpips_jax.core.constants import WINDOW_FRAMES
from lpips_jax.core.errors import UserError

LONGEST = 100  # frames of a stored record: a reader that wants a window reads a whole record


class PreparedBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
  """Clip records out of a directory of prepared clips, which TFDS calls the manual directory; without TensorFlow.

  Clips of more than four seconds become several records, `<id>+<first frame>`, so that a window costs the same however
  long its clip.

  Attributes:
    LAYOUTS: of `data_pipeline.preprocess`, from which this corpus can come.
  """

  VERSION = tfds.core.Version('2.0.0')
  RELEASE_NOTES: ClassVar = {
    '2.0.0': 'The mel is that of speech brought to one level.',
    '1.1.0': 'The phones that are heard.',
    '1.0.0': 'First release.',
  }
  LAYOUTS: ClassVar[tuple[str, ...]] = ()

  def __init__(self, *, file_format: Any = 'array_record', **kwargs: Any) -> None:
    super().__init__(file_format=file_format or 'array_record', **kwargs)

  def _info(self) -> tfds.core.DatasetInfo:
    return self.dataset_info_from_configs(features=clip_features(), disable_shuffling=True)

  def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
    directory = Path(dl_manager.manual_dir)
    splits = store.read_splits(directory)
    layout = store.read_settings(directory)['layout']
    if layout not in self.LAYOUTS:
      raise UserError(f'{directory} was prepared with --layout={layout}: {self.name} wants {" or ".join(self.LAYOUTS)}')
    used = {
      split: self._generate_examples(directory, split, clips)
      for split, clips in splits.items()
      if any(store.read_summary(directory, clip).records for clip in clips)  # TFDS has no empty splits
    }
    if not used:
      raise UserError(f'{directory} holds no record: its {store.FINISHED} says why')
    return used

  def _generate_examples(self, directory: Path, split: str, clips: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    for clip in tqdm(clips, f'{self.name} {split}', leave=False, unit='clip', disable=None):
      for record in store.read_records(directory, clip):
        for part in parts(record):
          yield part['id'], part


def parts(record: dict[str, Any], longest: int = LONGEST) -> Iterator[dict[str, Any]]:
  """Yields a record in parts of nearly equal length, at most so many frames each; a short one as it is.

  Args:
    record: from `data_pipeline.records.make_record`.
    longest: frames of a part, a multiple of 5.
  """
  frames = len(record['frames'])
  if frames <= longest:
    yield record
    return
  number = -(-frames // (longest - WINDOW_FRAMES))  # parts begin at multiples of 5, so they differ by as many frames
  edges = [round(k * frames / number / WINDOW_FRAMES) * WINDOW_FRAMES for k in range(number)]
  for first, last in itertools.pairwise([*edges, frames]):
    yield part_of_record(record, first, last, f'{record["id"]}+{first}')
