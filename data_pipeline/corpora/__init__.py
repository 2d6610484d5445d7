"""The corpora, by the names that `config.data.name` and the commands accept."""

import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from data_pipeline.corpora import remote
from data_pipeline.corpora.talking_faces import oracle
from data_pipeline.corpora.talking_faces import talking_faces_dataset_builder as talking_faces
from data_pipeline.records import Record, RecordSource
from lpips_jax.core.errors import UserError
from lpips_jax.core.files import expand_user
from lpips_jax.evaluation import Clip
from lpips_jax.storage import stores
from lpips_jax.storage.places import is_remote

EMBEDDED = 'talking_faces'
PREPARED_SINCE = '2.0.0'  # the version of `corpora.prepared` whose mel spectrograms are of speech brought to one level
HOW_TO_PREPARE = 'prepare it with data_pipeline.preprocess and python -m data_pipeline.build'


class Access(NamedTuple):
  """Says how the files of a split are read.

  Attributes:
    part: which part of the shard files, of how many: (k, n) are files k, k + n, k + 2 n, …; (0, 1) are all.
    in_place: reads the records of a corpus in a bucket one by one, without copying files to this machine first.
  """

  part: tuple[int, int] = (0, 1)
  in_place: bool = False


EVERYTHING = Access()


def source(name: str, split: str, data_dir: str, access: Access = EVERYTHING) -> RecordSource:
  """Opens a split of a corpus for random access; the embedded corpus is drawn first if it does not exist yet.

  Args:
    name: a corpus, and one of its configs after a slash: 'lrs2', 'talking_faces/quickstart', ….
    split: 'train', 'val' or 'test', or several, such as 'pretrain+train'.
    data_dir: directory of the TFDS datasets. Of one in a bucket, the files that are read are copied here once.
    access: the files that are read, and where.

  Returns:
    Clip records (see `data_pipeline.records`), by index.

  Raises:
    UserError: there is no such corpus, config or split, it has not been prepared in data_dir, or it has fewer shard
      files than parts.
  """
  corpus, _, config = name.partition('/')
  if corpus == EMBEDDED:
    return _draw(_embedded_config(config), split, data_dir, access)

  def builder_in(directory: str) -> tfds.core.DatasetBuilder:
    try:
      builder = tfds.builder(name, data_dir=directory, try_gcs=False)
    except (tfds.core.DatasetNotFoundError, ValueError) as error:
      raise UserError(f'no corpus {name!r} in {data_dir}: {HOW_TO_PREPARE}, or give another data_dir') from error
    if builder.version < PREPARED_SINCE:
      raise UserError(
        f'{name} in {data_dir} has an older version, {builder.version}: build it again with '
        'python -m data_pipeline.build --overwrite'
      )
    return builder

  return _open(re.split('[/:]', name)[0], builder_in, split, data_dir, access)


def fresh_test_source(name: str, seed: int, data_dir: str) -> RecordSource:
  """Draws a test split of the embedded corpus whose speakers no other seed has; raises UserError for other corpora."""
  corpus, _, config = name.partition('/')
  if corpus != EMBEDDED:
    raise UserError(f'seed draws new speakers, which only {EMBEDDED} can; leave it out for {name!r}', 'seed')
  fresh = talking_faces.fresh_test_config(_embedded_config(config), seed)
  return _draw(fresh, 'test', data_dir, EVERYTHING)


def dubbed_truth(name: str) -> Callable[[Record, Clip | None, int], np.ndarray] | None:
  """Returns `oracle.true_frames`, which renders true frames of foreign speech; None for corpora of filmed people."""
  return oracle.true_frames if name.partition('/')[0] == EMBEDDED else None


def _embedded_config(name: str) -> talking_faces.TalkingFacesConfig:
  configs = {config.name: config for config in talking_faces.Builder.BUILDER_CONFIGS}
  if (name or 'default') not in configs:
    raise UserError(f'{EMBEDDED} has no config {name!r}; there are {", ".join(sorted(configs))}')
  return configs[name or 'default']


def _draw(config: talking_faces.TalkingFacesConfig, split: str, data_dir: str, access: Access) -> RecordSource:
  # Built-in configs go by name: TFDS compares them by identity, and a reader that is sent to a worker holds copies.
  known = config in talking_faces.Builder.BUILDER_CONFIGS

  def builder_in(directory: str) -> tfds.core.DatasetBuilder:
    return talking_faces.Builder(
      config=config.name if known else config, data_dir=directory, file_format='array_record'
    )

  if is_remote(data_dir):
    remote.draw_once(data_dir, builder_in)
  else:
    tfds.disable_progress_bar()  # the builder has its own, which shows more
    builder_in(str(expand_user(data_dir))).download_and_prepare()
  return _open(EMBEDDED, builder_in, split, data_dir, access)


def _open(corpus: str, builder_in: remote.BuilderIn, split: str, data_dir: str, access: Access) -> RecordSource:
  """Opens a split where it is, or the copy of what is read of it."""

  def files_of(builder: tfds.core.DatasetBuilder) -> list[str]:
    _check_split(builder, split, data_dir, access)
    return [name for part in split.split('+') for name in builder.info.splits[part].filenames[_slice(access.part)]]

  if not is_remote(data_dir):
    return _opened(builder_in(str(expand_user(data_dir))), split, data_dir, access)
  if not access.in_place:
    return _opened(builder_in(remote.staged_corpus(corpus, data_dir, builder_in, files_of)), split, data_dir, access)
  if not data_dir.startswith('gs://'):
    raise UserError(f'{data_dir}: only gs:// is read in place: without config.data.in_place it is copied here')
  with stores.explained(data_dir, 'read'):
    builder = builder_in(data_dir)
    remote.check_there(builder, files_of(builder))
    return remote.InPlace(_opened(builder, split, data_dir, access), data_dir)


def _opened(builder: tfds.core.DatasetBuilder, split: str, data_dir: str, access: Access) -> RecordSource:
  _check_split(builder, split, data_dir, access)
  if access.part != (0, 1):  # as TFDS names shards: 'train[0shard]+train[2shard]'
    numbers = {name: range(builder.info.splits[name].num_shards)[_slice(access.part)] for name in split.split('+')}
    split = '+'.join(f'{name}[{k}shard]' for name, own in numbers.items() for k in own)
  return builder.as_data_source(split)


def _check_split(builder: tfds.core.DatasetBuilder, split: str, data_dir: str, access: Access) -> None:
  """Raises UserError if there is no such split, or if it has fewer shards than parts."""
  splits, parts = builder.info.splits, access.part[1]
  if not splits:
    raise UserError(f'{builder.name} is not prepared in {data_dir}: {HOW_TO_PREPARE}, or give another data_dir')
  for name in split.split('+'):
    if name not in splits:
      raise UserError(f'{builder.name} has no split {name!r}; there are {", ".join(splits)}')
    if splits[name].num_shards < parts:
      raise UserError(
        f'{builder.name} {name} has {splits[name].num_shards} shard files, and {parts} processes need one each: build '
        f'it again with --num_shards={parts} or a multiple'
      )


def _slice(part: tuple[int, int]) -> slice:
  return slice(part[0], None, part[1])
