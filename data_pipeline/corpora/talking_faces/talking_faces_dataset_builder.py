"""The TFDS builder of the embedded corpus; it needs no TensorFlow and no network.

builder = Builder(config='quickstart', data_dir=..., file_format='array_record')
builder.download_and_prepare()
source = builder.as_data_source('train')
"""

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
import tensorflow_datasets as tfds
from tqdm import tqdm

from data_pipeline.corpora.talking_faces.articulation import GESTURES
from data_pipeline.corpora.talking_faces.clips import clip_record
from data_pipeline.records import Record, record_features

_MIN_POOL_SECONDS = 40  # of video: starting processes takes about as long as rendering this much


@dataclass(kw_only=True, eq=False)
class TalkingFacesConfig(tfds.core.BuilderConfig):
  """A config of the corpus: its size and its seed.

  Attributes:
    seed: another seed gives other speakers.
    image_size: side of the face crops, in pixels.
    speakers: number of speakers in each split; a split without any is left out.
    clips: number of clips of each speaker, in each split.
    seconds: length of a clip.
  """

  seed: int = 0
  image_size: int = 96
  speakers: dict[str, int]
  clips: dict[str, int]
  seconds: float = 3.0


QUICKSTART = TalkingFacesConfig(
  name='quickstart',
  description='Enough to train a small model in minutes on a CPU.',
  image_size=64,
  speakers={'train': 96, 'val': 8, 'test': 16},
  clips={'train': 3, 'val': 2, 'test': 2},
)
CROWD = TalkingFacesConfig(
  name='crowd',
  description='As quickstart, with more people: for readers of lips, which would know a few by heart.',
  image_size=64,
  speakers={'train': 384, 'val': 8, 'test': 16},
  clips={'train': 3, 'val': 2, 'test': 2},
)
DEFAULT = TalkingFacesConfig(
  name='default',
  description='A fuller corpus at the size of the paper.',
  speakers={'train': 400, 'val': 20, 'test': 40},
  clips={'train': 3, 'val': 2, 'test': 2},
)
TINY = TalkingFacesConfig(
  name='tiny',
  description='A few seconds, for tests.',
  image_size=32,
  speakers={'train': 3, 'val': 2, 'test': 2},
  clips={'train': 2, 'val': 1, 'test': 1},
  seconds=1.0,
)


def fresh_test_config(config: TalkingFacesConfig, seed: int) -> TalkingFacesConfig:
  """Returns a config like `config` that has only a test split, of new speakers.

  Args:
    config: gives the sizes and lengths.
    seed: of the new speakers; it is part of the name, so that each seed has its own directory.
  """
  return TalkingFacesConfig(
    name=f'{config.name}_fresh_{seed}',
    description=f'Test speakers of seed {seed}.',
    seed=seed,
    image_size=config.image_size,
    speakers={'test': config.speakers['test']},
    clips={'test': config.clips['test']},
    seconds=config.seconds,
  )


class Builder(tfds.core.GeneratorBasedBuilder):
  """Procedural talking faces, as clip records with the true gestures of the mouth and the sounds that are spoken."""

  VERSION = tfds.core.Version('2.3.0')
  RELEASE_NOTES: ClassVar = {
    '2.3.0': 'The sounds that are spoken, their ends, and the gestures of the mouth.',
    '2.2.0': 'Teeth, tongues and cavities are as bright and as large as those of filmed people.',
    '2.1.0': 'Some syllables are louder, and said with a wider mouth; mouths are as wide as those of filmed people.',
    '2.0.0': 'The mel spectrogram of speech brought to one level.',
    '1.2.0': 'True phones; mouths open for each sound as far as those of filmed people do.',
    '1.1.0': 'Arrays are stored as bytes, which is faster to read.',
    '1.0.0': 'First release.',
  }
  BUILDER_CONFIGS: ClassVar = [DEFAULT, QUICKSTART, CROWD, TINY]

  def _info(self) -> tfds.core.DatasetInfo:
    as_bytes = tfds.features.Encoding.BYTES
    features = record_features(
      mouth_opening=tfds.features.Tensor(shape=(None,), dtype=np.float32),
      gestures=tfds.features.Tensor(shape=(None, len(GESTURES)), dtype=np.float32, encoding=as_bytes),
      sounds=tfds.features.Sequence(tfds.features.Text()),
      sound_ends=tfds.features.Tensor(shape=(None,), dtype=np.int32, encoding=as_bytes),
    )
    return tfds.core.DatasetInfo(builder=self, description=self.__doc__, features=features, disable_shuffling=True)

  def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
    del dl_manager  # nothing to download
    return {split: self._generate_examples(split) for split, number in self.builder_config.speakers.items() if number}

  def _generate_examples(self, split: str) -> Iterator[tuple[str, Record]]:
    config = self.builder_config
    jobs = [
      (config.seed, split, speaker, clip, config.seconds, config.image_size)
      for speaker in range(config.speakers[split])
      for clip in range(config.clips[split])
    ]
    records = _in_parallel(jobs) if len(jobs) * config.seconds > _MIN_POOL_SECONDS else map(_make, jobs)
    title = f'talking_faces/{config.name} {split}'
    for record in tqdm(records, title, len(jobs), leave=False, unit='clip', disable=None):
      yield record['id'], record


def _in_parallel(jobs: list[tuple]) -> Iterator[Record]:
  """Yields the records in the order of the jobs; processes are spawned, since a forked JAX may hang."""
  spawn = multiprocessing.get_context('spawn')
  with ProcessPoolExecutor(os.cpu_count(), spawn, cv2.setNumThreads, (1,)) as pool:
    yield from pool.map(_make, jobs, chunksize=4)


def _make(job: tuple) -> Record:
  return clip_record(*job)
