"""The corpora, by the names that `config.data.name` and the commands accept."""

from collections.abc import Callable

import numpy as np
import tensorflow_datasets as tfds

from data_pipeline.corpora.talking_faces import oracle
from data_pipeline.corpora.talking_faces import talking_faces_dataset_builder as talking_faces
from data_pipeline.records import Record, RecordSource
from lpips_jax.core.errors import UserError
from lpips_jax.core.files import expand_user
from lpips_jax.evaluation import Clip

EMBEDDED = 'talking_faces'
PREPARED_SINCE = '2.0.0'  # the version of `corpora.prepared` whose mel spectrograms are of speech brought to one level
HOW_TO_PREPARE = 'prepare it with data_pipeline.preprocess and python -m data_pipeline.build'


def source(name: str, split: str, data_dir: str) -> RecordSource:
  """Opens a split of a corpus for random access; the embedded corpus is drawn first if it does not exist yet.

  Args:
    name: a corpus, and one of its configs after a slash: 'lrs2', 'talking_faces/quickstart', ….
    split: 'train', 'val' or 'test', or several, such as 'pretrain+train'.
    data_dir: directory of the TFDS datasets.

  Returns:
    Clip records (see `data_pipeline.records`), by index.

  Raises:
    UserError: there is no such corpus, config or split, or it has not been prepared in data_dir.
  """
  directory = str(expand_user(data_dir))
  corpus, _, config = name.partition('/')
  if corpus == EMBEDDED:
    return _draw(_embedded_config(config), split, directory)
  try:
    builder = tfds.builder(name, data_dir=directory, try_gcs=False)
  except (tfds.core.DatasetNotFoundError, ValueError) as error:
    raise UserError(f'no corpus {name!r} in {data_dir}: {HOW_TO_PREPARE}, or give another data_dir') from error
  if builder.version < PREPARED_SINCE:
    raise UserError(
      f'{name} in {data_dir} has an older version, {builder.version}: build it again with '
      'python -m data_pipeline.build --overwrite'
    )
  return _open(builder, split)


def fresh_test_source(name: str, seed: int, data_dir: str) -> RecordSource:
  """Draws a test split of the embedded corpus whose speakers no other seed has; raises UserError for other corpora."""
  corpus, _, config = name.partition('/')
  if corpus != EMBEDDED:
    raise UserError(f'seed draws new speakers, which only {EMBEDDED} can; leave it out for {name!r}', 'seed')
  fresh = talking_faces.fresh_test_config(_embedded_config(config), seed)
  return _draw(fresh, 'test', str(expand_user(data_dir)))


def dubbed_truth(name: str) -> Callable[[Record, Clip | None, int], np.ndarray] | None:
  """Returns `oracle.true_frames`, which renders true frames of foreign speech; None for corpora of filmed people."""
  return oracle.true_frames if name.partition('/')[0] == EMBEDDED else None


def _embedded_config(name: str) -> talking_faces.TalkingFacesConfig:
  configs = {config.name: config for config in talking_faces.Builder.BUILDER_CONFIGS}
  if (name or 'default') not in configs:
    raise UserError(f'{EMBEDDED} has no config {name!r}; there are {", ".join(sorted(configs))}')
  return configs[name or 'default']


def _draw(config: talking_faces.TalkingFacesConfig, split: str, directory: str) -> RecordSource:
  # Built-in configs go by name: TFDS compares them by identity, and a reader that is sent to a worker holds copies.
  known = config in talking_faces.Builder.BUILDER_CONFIGS
  builder = talking_faces.Builder(
    config=config.name if known else config, data_dir=directory, file_format='array_record'
  )
  tfds.disable_progress_bar()  # the builder has its own, which shows more
  builder.download_and_prepare()
  return _open(builder, split)


def _open(builder: tfds.core.DatasetBuilder, split: str) -> RecordSource:
  if not builder.info.splits:
    raise UserError(
      f'{builder.name} is not prepared in {builder.data_dir_root}: {HOW_TO_PREPARE}, or give another data_dir'
    )
  for part in split.split('+'):
    if part not in builder.info.splits:
      raise UserError(f'{builder.name} has no split {part!r}; there are {", ".join(builder.info.splits)}')
  return builder.as_data_source(split)
