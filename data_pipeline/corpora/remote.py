"""Corpora in buckets: what is read of one is copied to this machine; the embedded one is drawn once, for all hosts."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import tensorflow_datasets as tfds

from data_pipeline.records import Record, RecordSource
from lpips_jax.core.errors import UserError, first_line
from lpips_jax.storage import staging, stores, transfer

INFO = 'dataset_info.json'  # without which a version of a corpus does not count; it is uploaded last
STORE_ERRORS = 'Permanent error', 'Retry policy exhausted'  # as array_record reports those of Google Cloud Storage

BuilderIn = Callable[[str], tfds.core.DatasetBuilder]  # makes the builder of a corpus for a data_dir
FilesOf = Callable[[tfds.core.DatasetBuilder], list[str]]  # the names of the files of a version that are read


def staged_corpus(corpus: str, data_dir: str, builder_in: BuilderIn, files_of: FilesOf) -> str:
  """Copies what is read of a corpus to this machine; returns the local data_dir.

  The descriptions of all its versions and configs come first: TFDS chooses among them as it does on a disk.

  Raises:
    UserError: there is no such corpus, it cannot be read, or what the two functions raise.
  """
  url = f'{data_dir.rstrip("/")}/{corpus}'
  local = str(staging.staged(url, _descriptions).parent)
  builder = builder_in(local)
  version = builder.data_path.relative_to(Path(local) / corpus).as_posix()
  files = {f'{version}/{name}' for name in files_of(builder)}
  staging.staged(url, lambda names: names & files)
  return local


def draw_once(data_dir: str, builder_in: BuilderIn) -> None:
  """Draws a corpus that a bucket lacks, and uploads it. Of hosts that do so at once the first to write an object wins.

  Raises:
    UserError: the bucket cannot be read or written to.
  """
  url = data_dir.rstrip('/')
  with tempfile.TemporaryDirectory(dir=staging.made_root(), prefix='drawn-') as directory:
    builder = builder_in(directory)
    info = f'{url}/{builder.data_path.relative_to(directory).as_posix()}/{INFO}'
    with stores.explained(url, 'read'):
      there = stores.persistently(lambda: stores.info(info), url)
    if not there:
      transfer.check_writable(f'{info}.{Path(directory).name}')
      tfds.disable_progress_bar()  # the builder has its own, which shows more
      builder.download_and_prepare()
      transfer.upload(Path(directory), url, replace=False)


def check_there(builder: tfds.core.DatasetBuilder, files: list[str]) -> None:
  """Raises UserError if a bucket lacks one of the files of a version: array_record would try for minutes to open it."""
  url = str(builder.data_path)
  there = {file.name for file in stores.files_below(url)}
  if missing := [name for name in files if name not in there]:
    raise UserError(f'{url}/{missing[0]} does not exist: build the corpus again')


class InPlace(RecordSource):
  """Records that are read from a bucket one by one; an error of the store is no damage of the record."""

  def __init__(self, source: RecordSource, url: str):
    self._source, self._url = source, url

  def __len__(self) -> int:
    return len(self._source)

  def __getitem__(self, index: int) -> Record:
    """Returns a record; raises UserError if the store refuses to give it, or stays silent for some minutes."""
    try:
      return self._source[index]
    except RuntimeError as error:
      if str(error).startswith(STORE_ERRORS):
        raise UserError(f'{self._url} cannot be read in place ({first_line(error)}): check your rights') from error
      raise

  def __repr__(self) -> str:
    return repr(self._source)


def _descriptions(names: set[str]) -> set[str]:
  """Chooses the descriptions of versions that were uploaded to the end, and of the corpus."""
  whole = {name.removesuffix(INFO) for name in names if name.endswith(INFO)}
  return {name for name in names if name.endswith('.json') and (name.startswith('.') or _directory(name) in whole)}


def _directory(name: str) -> str:
  return name[: name.rfind('/') + 1]
