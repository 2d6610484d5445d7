"""Mixtures: shares by weight, and batches as reproducible as those of a single corpus."""

import dataclasses

import grain
import numpy as np
import pytest
from runs import tiny_config

from data_pipeline import input as data
from data_pipeline.corpora.talking_faces.clips import clip_record
from data_pipeline.mixtures import MixturePart, parse_mixture
from lpips_jax.core.errors import UserError

MIXTURE = 'talking_faces/tiny:1,talking_faces/small:3'


@dataclasses.dataclass(frozen=True)
class Shown(grain.transforms.RandomMap):
  """A stand-in for a window: the record itself and a random number."""

  def random_map(self, record, rng):
    return {'record': np.array([record]), 'drawn': rng.integers(1 << 30, size=1)}


def shown(count, process=0, processes=1, weights=(1, 3), seed=0):
  dataset = data.mixed_examples([range(5), range(100, 107)], weights, seed, Shown(), process, processes)
  return [int(dataset[i]['record'][0]) for i in range(count)]


@pytest.fixture
def config(tmp_path, monkeypatch):
  """A mixture of two corpora: the records of the second are larger and lack the extra feature of the first."""
  records = [clip_record(1, 'train', speaker, 0, seconds=0.6, image_size=48) for speaker in range(3)]
  small = [{name: value for name, value in record.items() if name != 'mouth_opening'} for record in records]
  source = data.mixtures.corpora.source
  monkeypatch.setattr(
    data.mixtures.corpora, 'source', lambda name, *rest: small if name.endswith('small') else source(name, *rest)
  )
  config = tiny_config('generator', tmp_path)
  config.data.update(name=MIXTURE, batch_size=4)
  config.data.augment.update(flip=0.5, jpeg=0.5)
  return config


def assert_same(one, other):
  assert one.keys() == other.keys()
  for name in one:
    np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_names_and_weights():
  assert parse_mixture('lrs2') == [MixturePart('lrs2')]
  assert parse_mixture('lrs2:1.0.0') == [MixturePart('lrs2:1.0.0')]
  assert parse_mixture('talking_faces/quickstart:1, folder:2.5,lrw') == [
    MixturePart('talking_faces/quickstart', 1.0),
    MixturePart('folder', 2.5),
    MixturePart('lrw', 1.0),
  ]
  assert parse_mixture('lrs2:1.0.0:3,lrw:.5') == [MixturePart('lrs2:1.0.0', 3.0), MixturePart('lrw', 0.5)]


@pytest.mark.parametrize('name', ['a:0,b:1', 'a:-1,b', 'a:x,b', 'a:,b:2', 'a:nan,b', 'a:inf'])
def test_a_bad_weight_is_named(name):
  with pytest.raises(UserError, match=r'is not a weight: give a number above 0'):
    parse_mixture(name)


def test_a_missing_name_and_an_unknown_corpus_are_named(config):
  with pytest.raises(UserError, match='names no corpus'):
    parse_mixture('lrs2:1,')
  config.data.name = 'talking_faces/tiny:1,lrs9:2'
  with pytest.raises(UserError, match="no corpus 'lrs9'"):
    data.train_batches(config)


def test_each_corpus_has_its_share_in_any_stretch_and_its_own_epochs():
  order = shown(5 * 7 * 4)
  second = np.array(order) >= 100
  assert second.sum() == 3 * 5 * 7
  assert all(second[i : i + 4].sum() == 3 for i in range(0, len(second), 4))
  for corpus in (range(5), range(100, 107)):
    of_corpus = [record for record in order if record in corpus]
    epochs = [of_corpus[i : i + len(corpus)] for i in range(0, len(of_corpus), len(corpus))]
    assert all(sorted(epoch) == list(corpus) for epoch in epochs) and epochs[0] != epochs[1]


def test_a_mixture_of_one_corpus_is_that_corpus():
  alone, mixture = (f(range(9), 3, Shown()) for f in (data.examples, lambda s, *r: data.mixed_examples([s], [7.0], *r)))
  numbers = grain.MapDataset.range(9).seed(3).shuffle().repeat()
  for i in range(20):
    assert_same(alone[i], mixture[i])
    assert int(alone[i]['record'][0]) == int(numbers[i])


def test_corpora_of_one_size_are_not_shuffled_alike():
  dataset = data.mixed_examples([range(30), range(30)], [1, 1], 0, Shown())
  order = [int(dataset[i]['record'][0]) for i in range(60)]
  assert order[::2] != order[1::2]


@pytest.mark.parametrize('processes', [2, 3, 4])
def test_processes_share_what_a_single_one_would_read(processes):
  whole = shown(24)
  shares = [shown(24 // processes, process, processes) for process in range(processes)]
  assert [record for row in zip(*shares, strict=True) for record in row] == whole


@pytest.mark.slow
def test_batches_are_the_same_for_any_number_of_workers_and_go_on_exactly(config):
  alone = data.train_batches(config)
  expected = [next(alone) for _ in range(5)]
  names = [name.decode() for batch in expected for name in batch['id']]
  assert sum(name.startswith('train-1-') for name in names) == 15  # of 20; seed 1's are the second corpus
  config.data.workers = 2
  batches = data.train_batches(config)
  assert_same(next(batches), expected[0])
  assert_same(next(batches), expected[1])
  state = batches.get_state()
  for batch in expected[2:]:
    assert_same(next(batches), batch)
  batches.close()
  resumed = data.train_batches(config)
  resumed.set_state(state)
  for batch in expected[2:]:
    assert_same(next(resumed), batch)
  resumed.close()


def test_grain_loses_nothing_at_a_checkpoint(config):
  sources, weights = data._training_sources(config)
  dataset = data.batched(data.mixed_examples(sources, weights, 0, data._window_transform(config)), 4)[:6]
  grain.experimental.assert_equal_output_after_checkpoint(dataset.to_iter_dataset())


def test_evaluations_see_all_corpora_and_always_the_same(config):
  once, again = data.eval_batches(config), data.eval_batches(config)
  for one, other in zip(once, again, strict=True):
    assert_same(one, other)
  config.model.image_size = 32
  clips = data.clips_to_watch(config)
  assert [clip.speaker.startswith('train-1-') for clip in clips] == [True, False]  # of the heavier corpus first
  assert all(clip.frames.shape[1:] == (32, 32, 3) for clip in clips)
