"""The input: reproducible batches for any number of processes; damaged records are replaced."""

import dataclasses

import grain
import numpy as np
import pytest
from orbax.checkpoint import v1 as ocp
from runs import tiny_config

from data_pipeline import corpora
from data_pipeline import input as data
from data_pipeline.corpora.talking_faces.clips import clip_record
from data_pipeline.records import text
from data_pipeline.windows import GeneratorWindows
from lpips_jax.audio.mel import mel_windows
from lpips_jax.core.errors import UserError
from lpips_jax.storage import transfer

RECORDS = 23  # no number of processes divides it


@dataclasses.dataclass(frozen=True)
class NumberOf(grain.transforms.RandomMap):
  """A stand-in for a window: the number of the record and a random one, or an error at one number."""

  wrong: int = -1
  error: type[Exception] = TypeError

  def random_map(self, record, rng):
    if record == self.wrong:
      raise self.error(f'number {record} is wrong')
    return {'number': np.array([record]), 'drawn': rng.integers(1 << 30, size=1)}


def numbers(process, processes, count, seed=0):
  share = data.examples(range(RECORDS), seed, NumberOf(), process, processes)
  return [int(share[i]['number'][0]) for i in range(count)]


def assert_same(one, other):
  assert one.keys() == other.keys()
  for name in one:
    np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@pytest.fixture
def varied(corpus):
  """The generator's config with two windows a clip and every augmentation."""
  config = tiny_config('generator', corpus)
  config.data.update(batch_size=4, windows=2)
  config.data.augment.update(flip=0.5, colour=0.2, jpeg=0.5, crop=0.1, silence=0.5)
  return config


@pytest.fixture
def warnings(monkeypatch):
  lines = []
  monkeypatch.setattr(data.logging, 'log_first_n', lambda level, message, n, *values: lines.append(message % values))
  return lines


@pytest.mark.parametrize('processes', [1, 2, 4, 7])
def test_processes_read_every_record_once_an_epoch(processes):
  for epoch in range(2):
    places = [range(p, 2 * RECORDS, processes) for p in range(processes)]  # of the positions of all
    read = {}
    for process, mine in enumerate(places):
      read |= dict(zip(mine, numbers(process, processes, len(mine)), strict=True))
    assert sorted(read[place] for place in range(epoch * RECORDS, (epoch + 1) * RECORDS)) == list(range(RECORDS))
    assert [read[place] for place in range(2 * RECORDS)] == numbers(0, 1, 2 * RECORDS)


def test_epochs_and_seeds_are_shuffled_differently():
  both = numbers(0, 1, 2 * RECORDS)
  first, second = both[:RECORDS], both[RECORDS:]
  assert first != second and first != list(range(RECORDS)) and first != numbers(0, 1, RECORDS, seed=1)


def test_a_record_is_seen_differently_in_every_epoch():
  dataset = data.examples(range(RECORDS), 0, NumberOf())
  seen = [dataset[i] for i in range(2 * RECORDS)]
  assert len({(int(one['number'][0]), int(one['drawn'][0])) for one in seen}) == 2 * RECORDS


@pytest.mark.parametrize('task', ['sync_expert', 'generator'])
def test_batches_depend_on_the_seed_alone(task, corpus):
  config = tiny_config(task, corpus)
  first, again = (next(data.train_batches(config)) for _ in range(2))
  config.seed = 1
  other = next(data.train_batches(config))
  for name in first:
    np.testing.assert_array_equal(first[name], again[name])
  assert any(not np.array_equal(first[name], other[name]) for name in first)


def test_processes_share_what_a_single_one_would_read(corpus):
  config = tiny_config('generator', corpus)
  alone, shares = data.train_batches(config), [data.train_batches(config, p, 2) for p in range(2)]
  for _ in range(3):
    whole = next(alone)['target']
    parts = [next(share)['target'] for share in shares]
    np.testing.assert_array_equal(np.stack([parts[0][0], parts[1][0]]), whole)
  with pytest.raises(UserError, match='cannot be divided'):
    data.train_batches(config, 0, 3)


@pytest.mark.slow
def test_batches_are_the_same_for_any_number_of_workers(varied):
  alone = data.train_batches(varied)
  expected = [next(alone) for _ in range(6)]
  assert len({batch['target'].tobytes() for batch in expected}) == 6
  for workers in (1, 4):
    varied.data.workers = workers
    batches = data.train_batches(varied)
    for batch in expected:
      assert_same(next(batches), batch)
    batches.close()


def test_batches_are_contiguous_so_that_grain_can_share_them(varied):
  assert all(array.flags.c_contiguous for array in next(data.train_batches(varied)).values())


def test_processes_together_make_the_batches_of_one_with_two_windows_a_clip(varied):
  varied.data.batch_size = 8
  alone = data.train_batches(varied)
  shares = [data.train_batches(varied, p, 2) for p in range(2)]
  for _ in range(4):
    whole, parts = next(alone), [next(share) for share in shares]
    # Clip k of the batch is process k % 2's; its windows are rows 2 k and 2 k + 1.
    for name in ('target', 'reference', 'mel', 'window_mel'):
      clips = [part[name].reshape(2, 2, *part[name].shape[1:]) for part in parts]
      together = np.stack(clips, axis=1).reshape(whole[name].shape)
      np.testing.assert_array_equal(together, whole[name], err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize('workers', [0, 2])
def test_iterator_resumes_at_the_next_batch(workers, varied, tmp_path):
  varied.data.workers = workers
  batches = data.train_batches(varied)
  for _ in range(3):
    next(batches)
  state = batches.get_state()
  with ocp.training.Checkpointer(tmp_path) as checkpointer:
    checkpointer.save_checkpointables(3, {'data': batches})
  expected = [next(batches) for _ in range(3)]
  batches.set_state(state)
  assert_same(next(batches), expected[0])
  batches.close()

  resumed = data.train_batches(varied)
  with ocp.training.Checkpointer(tmp_path) as checkpointer:
    checkpointer.load_checkpointables(3, {'data': resumed})
  for batch in expected:
    assert_same(next(resumed), batch)
  resumed.close()


def damage_jpegs(record):
  return record | {'frames': [jpeg[:20] for jpeg in record['frames']]}


def cut_short(record):
  return record | {'frames': record['frames'][:3]}


def without_mel(record):
  return {name: value for name, value in record.items() if name != 'mel'}


@pytest.mark.parametrize(
  ('damage', 'problem'), [(damage_jpegs, 'not a JPEG'), (cut_short, 'fewer than 5 frames'), (without_mel, 'mel')]
)
def test_another_record_takes_the_place_of_a_damaged_one(damage, problem, warnings):
  whole = [clip_record(0, 'train', speaker, 0, seconds=0.4, image_size=32) for speaker in range(3)]
  source = [whole[0], damage(whole[1]), whole[2]]
  window = GeneratorWindows(image_size=32, lead=2.0)
  dataset, again = (data.examples(source, 0, window) for _ in range(2))
  intact = data.examples(whole, 0, window)
  order = data.examples(range(3), 0, NumberOf())
  mels = {k: {m.tobytes() for m in window_mels(whole[k])} for k in range(3)}
  for place in range(6):
    example = dataset[place]
    if int(order[place]['number'][0]) == 1:
      assert example['skipped'][0] >= 1
      assert example['window_mel'][0].tobytes() in mels[0] | mels[2]
      assert_same(example, again[place])
    else:
      assert_same(example, intact[place])
      assert example['skipped'].tolist() == [0]
  assert warnings and all('record 1 of' in line and problem in line for line in warnings)


def window_mels(record):
  return mel_windows(record['mel'], 25, 10)[:6]


@pytest.mark.parametrize('damage', [damage_jpegs, cut_short, without_mel])
def test_damaged_clips_are_not_monitored(damage, monkeypatch, warnings, corpus):
  whole = [clip_record(0, 'train', speaker, 0, seconds=0.4, image_size=32) for speaker in range(3)]
  source = [whole[0], damage(whole[1]), whole[2]]
  monkeypatch.setattr(data.mixtures, 'open_mixture', lambda *_: ([source], [1.0]))
  config = tiny_config('sync_expert', corpus)
  config.diagnosis_clips = 3
  assert sorted(clip.name for clip in data.clips_to_watch(config)) == sorted([whole[0]['id'], whole[2]['id']])
  assert len(warnings) == 1 and 'record 1 of' in warnings[0]
  config.diagnosis_clips = 2  # another takes its place
  assert len(data.clips_to_watch(config)) == 2
  source[:] = [damage(record) for record in whole]
  with pytest.raises(UserError, match='all records of talking_faces/tiny are damaged'):
    data.clips_to_watch(config)


@pytest.mark.parametrize(('task', 'split'), [('sync_expert', 'train'), ('generator', 'val')])
def test_an_expert_is_monitored_on_its_training_split_and_a_generator_on_a_held_out_clip(task, split, corpus):
  config = tiny_config(task, corpus)
  source = corpora.source('talking_faces/tiny', split, config.data.data_dir)
  names = {text(source[i]['id']) for i in range(len(source))}
  watched = {clip.name for clip in data.clips_to_watch(config)}
  assert watched and watched <= names


def test_evaluation_batches_are_not_augmented(varied):
  varied.data.augment.update(silence=1.0, misheard=1.0, voice=1.0)
  augmented = data.eval_batches(varied)
  for name in varied.data.augment:
    varied.data.augment[name] = 0.0
  for batch, plain in zip(augmented, data.eval_batches(varied), strict=True):
    assert_same(batch, plain)


def test_skipped_records_are_counted_in_the_batch(warnings):
  dataset = data.batched(data.examples(range(4), 0, NumberOf(wrong=2, error=ValueError)), 4)
  for epoch in range(3):
    warnings.clear()
    batch = dataset[epoch]
    assert batch['skipped'].shape == (4,)
    assert sorted(batch['skipped'] > 0) == [False, False, False, True]
    assert 2 not in batch['number']
    assert len(warnings) == batch['skipped'].sum()


def test_a_corpus_of_damaged_records_does_not_search_for_ever(warnings):
  dataset = data.examples([None] * 3, 0, NumberOf(wrong=None, error=ValueError))
  with pytest.raises(UserError, match=r'8 records in a row are damaged .*: build the corpus again'):
    dataset[0]
  assert len(warnings) == 8


def test_other_errors_are_raised_as_they_are(warnings):
  dataset = data.examples(range(RECORDS), 0, NumberOf(wrong=7))
  with pytest.raises(TypeError, match='number 7 is wrong'):
    [dataset[i] for i in range(RECORDS)]
  assert not warnings


@pytest.fixture
def shared(built):
  """The generator's config for the corpus of four shard files, which its processes divide among themselves."""
  config = tiny_config('generator', built)
  config.data.update(name='folder', data_dir=str(built), batch_size=4, windows=1)
  config.data.own_shards = True
  return config


def ids(batches, count):
  return [name.decode() for _ in range(count) for name in next(batches)['id']]


def test_processes_with_shards_of_their_own_share_no_record_and_read_each_in_every_epoch(shared):
  whole = corpora.source('folder', 'train', shared.data.data_dir)
  shards = {2: [{0, 1, 4, 5, 6}, {2, 3, 7, 8}], 4: [{0, 1}, {2, 3}, {4, 5, 6}, {7, 8}]}
  for processes, expected in shards.items():
    for process, numbers_of_records in enumerate(expected):
      batches = data.train_batches(shared, process, processes)
      clips = 4 // processes
      read = ids(batches, clips * len(numbers_of_records) * 2)
      epochs = [read[k : k + len(numbers_of_records)] for k in range(0, len(read), len(numbers_of_records))]
      names = {text(whole[k]['id']) for k in numbers_of_records}
      assert all(set(epoch) == names for epoch in epochs)
      assert len(names) < 4 or epochs[0] != epochs[1]
      batches.close()


def test_a_process_with_shards_of_its_own_goes_on_exactly_among_as_many(shared):
  batches = data.train_batches(shared, 1, 2)
  next(batches)
  state = batches.get_state()
  expected = [next(batches) for _ in range(3)]
  resumed = data.train_batches(shared, 1, 2)
  resumed.set_state(state)
  for batch in expected:
    assert_same(next(resumed), batch)
  with pytest.raises(UserError, match='2 processes shared the files of this run: it goes on with as many, not with 4'):
    data.train_batches(shared, 1, 4).set_state(state)
  with pytest.raises(UserError, match='--num_shards=8 or a multiple'):
    shared.data.batch_size = 8
    data.train_batches(shared, 1, 8)


@pytest.mark.parametrize(
  ('in_place', 'workers'), [(False, 0), (True, 0), pytest.param(True, 1, marks=pytest.mark.slow)]
)
def test_batches_from_a_bucket_are_those_from_the_disk(in_place, workers, gs_bucket, built, shared, monkeypatch):
  monkeypatch.setenv('CLOUD_STORAGE_EMULATOR_ENDPOINT', gs_bucket.server)
  shared.data.own_shards = False
  expected = data.train_batches(shared)
  evaluated = data.eval_batches(shared)
  transfer.upload(built, f'{gs_bucket.url}/data')
  shared.data.update(data_dir=f'{gs_bucket.url}/data', in_place=in_place, workers=workers)
  batches = data.train_batches(shared)
  for _ in range(3):
    assert_same(next(batches), next(expected))
  batches.close()
  for one, other in zip(data.eval_batches(shared), evaluated, strict=True):
    assert_same(one, other)


@pytest.mark.parametrize('task', ['lip_reader', 'av_expert'])
def test_readers_of_clips_get_as_many_clips_as_a_batch_has(task, corpus):
  config = tiny_config('generator', corpus)
  config.task = task
  config.data.update(batch_size=4, windows=3, clip_frames=30, max_labels=20, alphabet='sounds')
  config.data.augment.update(flip=0.5, silence=0.5, misheard=0.1)
  batch, later = (next(data.train_batches(config)) for _ in range(2))
  assert_same(batch, later)
  shapes = {'frames': (4, 30, 32, 32, 3), 'sound': (4, 30, 104), 'length': (4,), 'labels': (4, 20)}
  shapes |= {'frame_labels': (4, 30), 'id': (4,), 'skipped': (4,)}
  assert {name: array.shape for name, array in batch.items()} == shapes
  assert (batch['length'] == 25).all() and (batch['labels'] > 0).any(1).all()
  assert data.eval_batches(config)[0].keys() == shapes.keys() - {'id', 'skipped'}
  halves = [next(data.train_batches(config, process, 2)) for process in range(2)]
  assert all(len(half['frames']) == 2 for half in halves)


def test_a_loss_that_looks_at_clips_brings_them_and_leaves_all_others_alone(varied):
  varied.data.update(clip_frames=20, max_labels=10)
  names = {'target', 'reference', 'mel', 'window_mel', 'window_phones', 'id', 'skipped'}
  assert next(data.train_batches(varied)).keys() == names
  with varied.unlocked():
    varied.losses.reading = 0.1
  batch = next(data.train_batches(varied))
  of_clips = {'clip_frames': (2, 20, 32, 32, 3), 'clip_sound': (2, 20, 104), 'clip_length': (2,)}
  of_clips |= {'clip_labels': (2, 10), 'clip_start': (4,)}
  assert batch.keys() == names | of_clips.keys()
  assert {name: batch[name].shape for name in of_clips} == of_clips and batch['target'].shape == (4, 5, 32, 32, 3)


def test_clips_carry_what_is_said():
  record = clip_record(0, 'train', 0, 0, seconds=0.4, image_size=32)
  clip = data.decode_clip(record, 32)
  assert clip.sounds == tuple(record['sounds']) and clip.text == ''
  np.testing.assert_array_equal(clip.sound_ends, record['sound_ends'])
  filmed = {name: value for name, value in record.items() if not name.startswith('sound')} | {'text': b'Yes.'}
  assert data.decode_clip(filmed, 32).sounds is None and data.decode_clip(filmed, 32).text == 'Yes.'
