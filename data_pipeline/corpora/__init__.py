"""The corpora, by name: what `config.data.name` and `--dataset` may say."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from data_pipeline.corpora.talking_faces import oracle
from data_pipeline.corpora.talking_faces import talking_faces_dataset_builder as talking_faces
from lpips_jax.core.errors import UserError
from lpips_jax.core.files import expanded
from lpips_jax.evaluation import Clip

EMBEDDED = 'talking_faces'
PREPARED_SINCE = '2.0.0'  # of corpora.prepared: before it, the mels of records were of speech of any level
HOW_TO_PREPARE = 'prepare it with data_pipeline.preprocess and python -m data_pipeline.build'


def source(name: str, split: str, data_dir: str) -> Sequence[dict[str, Any]]:
  """Opens a split of a corpus for random access; draws the embedded corpus when it is not there yet.

  Args:
    name: 'talking_faces/quickstart', 'lrs2', …: a corpus, and after the slash one of its configs.
    split: 'train', 'val' or 'test', or several, such as 'pretrain+train'.
    data_dir: where TFDS keeps its datasets.

  Returns:
    Clip records (see `data_pipeline.records`), by index.

  Raises:
    UserError: there is no such corpus, config or split, or it has not been prepared in data_dir.
  """
  directory = str(expanded(data_dir))
  corpus, _, config = name.partition('/')
  if corpus == EMBEDDED:
    return _drawn(_embedded_config(config), split, directory)
  try:
    builder = tfds.builder(name, data_dir=directory, try_gcs=False)
  except (tfds.core.DatasetNotFoundError, ValueError) as error:
    raise UserError(f'no corpus {name!r} in {data_dir}: {HOW_TO_PREPARE}, or give another data_dir') from error
  if builder.version < PREPARED_SINCE:
    raise UserError(
      f'{name} in {data_dir} is of an older version, {builder.version}: build it again, with '
      'python -m data_pipeline.build --overwrite'
    )
  return _open(builder, split)


def fresh_test_source(name: str, seed: int, data_dir: str) -> Sequence[dict[str, Any]]:
  """Draws a test split of the embedded corpus whose speakers no other seed has; raises UserError for other corpora."""
  corpus, _, config = name.partition('/')
  if corpus != EMBEDDED:
    raise UserError(f'--seed draws new speakers, which only {EMBEDDED} can; leave it out for {name!r}')
  fresh = talking_faces.fresh_test_config(_embedded_config(config), seed)
  return _drawn(fresh, 'test', str(expanded(data_dir)))


def dubbed_truth(name: str) -> Callable[[dict[str, Any], Clip | None, int], np.ndarray] | None:
  """What renders the true frames of foreign speech and of silence, where a corpus knows: see `oracle.true_frames`."""
  return oracle.true_frames if name.partition('/')[0] == EMBEDDED else None


def _embedded_config(name: str) -> talking_faces.TalkingFacesConfig:
  configs = {config.name: config for config in talking_faces.Builder.BUILDER_CONFIGS}
  if (name or 'default') not in configs:
    raise UserError(f'{EMBEDDED} has no config {name!r}; there are {", ".join(sorted(configs))}')
  return configs[name or 'default']


def _drawn(config: talking_faces.TalkingFacesConfig, split: str, directory: str) -> Sequence[dict[str, Any]]:
  # Known ones by name: TFDS knows them by identity, and a reader that is sent to a worker holds copies.
  known = config in talking_faces.Builder.BUILDER_CONFIGS
  builder = talking_faces.Builder(
    config=config.name if known else config, data_dir=directory, file_format='array_record'
  )
  tfds.disable_progress_bar()  # the builder draws its own, which tells more
  builder.download_and_prepare()
  return _open(builder, split)


def _open(builder: tfds.core.DatasetBuilder, split: str) -> Sequence[dict[str, Any]]:
  if not builder.info.splits:
    raise UserError(
      f'{builder.name} is not prepared in {builder.data_dir_root}: {HOW_TO_PREPARE}, or give another data_dir'
    )
  for part in split.split('+'):
    if part not in builder.info.splits:
      raise UserError(f'{builder.name} has no split {part!r}; there are {", ".join(builder.info.splits)}')
  return builder.as_data_source(split)
