"""Windows and batches: the right speech for the right frames, and the same batches every time."""

import numpy as np
import pytest
from conftest import tiny_config

from data_pipeline import corpora
from data_pipeline import input as data
from data_pipeline.records import encode_frame
from data_pipeline.windows import ExpertWindows, GeneratorWindows
from lpips_jax.cli import UserError
from lpips_jax.media.audio import mel_windows


@pytest.fixture
def record(directory):
  return corpora.source('talking_faces/tiny', 'train', str(directory / 'data'))[0]


def numbered(record, n_frames):
  """The record with frames that tell their index and a mel that tells its position."""
  frames = [encode_frame(np.full((32, 32, 3), 3 * k, np.uint8)) for k in range(n_frames)]
  mel = np.repeat(np.arange(n_frames * 80 // 25, dtype=np.float32)[:, None], 80, 1)
  return record | {'frames': frames, 'mel': mel}


def first(examples):
  return {name: array[0] for name, array in examples.items()}


def test_generator_window_pairs_frames_with_their_speech(record):
  record = numbered(record, 60)
  rng = np.random.default_rng(0)
  for _ in range(20):
    window = first(GeneratorWindows(image_size=32, lead=2.0).random_map(record, rng))
    target = window['target'][:, 0, 0, 0] // 3
    reference = window['reference'][:, 0, 0, 0] // 3
    start = int(target[0])
    np.testing.assert_array_equal(target, np.arange(start, start + 5))
    np.testing.assert_array_equal(np.diff(reference), 1)
    assert not set(target) & set(reference)
    whole = mel_windows(record['mel'], 25, 60, lead=2.0)
    np.testing.assert_array_equal(window['mel'], whole[start : start + 5])
    np.testing.assert_array_equal(window['window_mel'], mel_windows(record['mel'], 25, 60)[start])


def test_expert_windows_are_apart_and_in_sync(record):
  record = numbered(record, 40)
  rng = np.random.default_rng(0)
  for _ in range(20):
    window = first(ExpertWindows(image_size=32, windows=6, minimum_offset=3).random_map(record, rng))
    assert np.diff(window['start']).min() >= 3
    np.testing.assert_array_equal(window['frames'][:, 0, 0, 0, 0] // 3, window['start'])
    np.testing.assert_array_equal(window['mel'], mel_windows(record['mel'], 25, 40)[window['start']])


def test_short_clips_are_used_and_too_short_ones_named(record):
  rng = np.random.default_rng(0)
  window = first(GeneratorWindows(image_size=32, lead=0).random_map(numbered(record, 7), rng))
  assert not np.array_equal(window['target'], window['reference'])
  assert ExpertWindows(32, windows=6, minimum_offset=3).random_map(numbered(record, 7), rng)['start'].max() <= 2
  with pytest.raises(ValueError, match='fewer than 5 frames'):
    GeneratorWindows(image_size=32, lead=0).random_map(numbered(record, 4), rng)


@pytest.mark.parametrize('task', ['sync_expert', 'generator'])
def test_batches_depend_on_the_seed_alone(task, directory):
  config = tiny_config(task, directory)
  first, again = (next(data.train_batches(config)) for _ in range(2))
  config.seed = 1
  other = next(data.train_batches(config))
  for name in first:
    np.testing.assert_array_equal(first[name], again[name])
  assert any(not np.array_equal(first[name], other[name]) for name in first)


def test_processes_share_what_one_alone_would_read(directory):
  config = tiny_config('generator', directory)
  alone, shares = data.train_batches(config), [data.train_batches(config, p, 2) for p in range(2)]
  for _ in range(3):
    whole = next(alone)['target']
    parts = [next(share)['target'] for share in shares]
    np.testing.assert_array_equal(np.stack([parts[0][0], parts[1][0]]), whole)
  with pytest.raises(UserError, match='does not divide'):
    data.train_batches(config, 0, 3)


def test_iterator_resumes_at_the_next_batch(directory):
  config = tiny_config('generator', directory)
  batches = data.train_batches(config)
  next(batches)
  state = batches.get_state()
  expected = next(batches)
  resumed = data.train_batches(config)
  resumed.set_state(state)
  np.testing.assert_array_equal(next(resumed)['target'], expected['target'])


def test_unknown_corpora_are_named(directory):
  for name, problem in {'lrs9': "no corpus 'lrs9'", 'talking_faces/x': "no config 'x'"}.items():
    with pytest.raises(UserError, match=problem):
      corpora.source(name, 'train', str(directory / 'data'))
  with pytest.raises(UserError, match='no split'):
    corpora.source('talking_faces/tiny', 'dev', str(directory / 'data'))
