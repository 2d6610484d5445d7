"""Clips as examples: their padding, spans, and labels in step with frames and sound."""

import contextlib

import numpy as np
import pytest

from data_pipeline.clip_windows import ClipWindows
from data_pipeline.corpora.talking_faces.clips import clip_record
from data_pipeline.image_augment import ImageAugmentation
from data_pipeline.records import decode_frames, encode_frame
from lpips_jax.audio.alphabets import ALPHABETS, labels_of, spelled
from lpips_jax.audio.av_features import av_features
from lpips_jax.core.errors import UserError


@pytest.fixture(scope='module')
def record():
  return clip_record(0, 'train', 0, 0, seconds=1.0, image_size=32)


def example(record, frames=30, labels=16, alphabet='sounds', seed=0, **options):
  window = ClipWindows(32, frames, labels, alphabet, **options)
  arrays = window.random_map(record, np.random.default_rng(seed))
  assert arrays.pop('id').tolist() == [record['id'].encode()]
  assert all(len(array) == 1 for array in arrays.values())
  return {name: array[0] for name, array in arrays.items()}


def numbered(record):
  """The record with frames that show their index."""
  return record | {'frames': [encode_frame(np.full((32, 32, 3), 9 * k, np.uint8)) for k in range(25)]}


def test_a_short_clip_is_padded(record):
  clip = example(record)
  assert clip['frames'].shape == (30, 32, 32, 3) and clip['frames'].dtype == np.uint8
  np.testing.assert_array_equal(clip['frames'][:25], decode_frames(record['frames'], range(25)))
  np.testing.assert_array_equal(clip['sound'][:25], av_features(record['audio'], 25))
  assert clip['sound'].shape == (30, 104) and clip['sound'].dtype == np.float32
  assert not clip['frames'][25:].any() and not clip['sound'][25:].any()
  assert clip['length'] == 25 and clip['length'].dtype == np.int32
  assert clip['labels'].dtype == clip['frame_labels'].dtype == np.int32
  said = [name for name in record['sounds'] if name]
  assert list(spelled(clip['labels'], 'sounds')) == said and not clip['labels'][len(said) :].any()
  assert (clip['frame_labels'][25:] == -1).all() and (clip['frame_labels'][:25] >= 0).all()


def test_frames_have_the_label_of_their_moment(record):
  clip = example(record)
  for k in range(25):  # the middle of frame k is in its step 8 k + 4
    name = record['sounds'][np.searchsorted(record['sound_ends'], 8 * k + 4, side='right')]
    assert ALPHABETS['sounds'][clip['frame_labels'][k]] == name


def test_of_a_long_clip_a_random_span_is_cut_with_what_is_said_in_it(record):
  whole = example(record)
  firsts = set()
  middles = (np.append(0, record['sound_ends'][:-1]) + record['sound_ends']) / 16  # frames
  for seed in range(30):
    clip = example(numbered(record), frames=10, seed=seed)
    first = round(clip['frames'][0].mean() / 9)
    firsts.add(first)
    shown = np.rint(clip['frames'].mean((1, 2, 3)) / 9)
    np.testing.assert_array_equal(shown, np.arange(first, first + 10))
    np.testing.assert_array_equal(clip['sound'], whole['sound'][first : first + 10])
    np.testing.assert_array_equal(clip['frame_labels'], whole['frame_labels'][first : first + 10])
    inside = (middles >= first) & (middles < first + 10)
    said = [name for name, within in zip(record['sounds'], inside, strict=True) if name and within]
    assert list(spelled(clip['labels'], 'sounds')) == said
  assert min(firsts) == 0 and max(firsts) == 15 and len(firsts) > 8


def test_visemes_are_those_of_the_sounds_or_else_of_the_phones(record):
  clip = example(record, alphabet='visemes')
  said = clip['labels'][clip['labels'] > 0]
  np.testing.assert_array_equal(said, labels_of('visemes', record['sounds']))
  filmed = {name: value for name, value in record.items() if name not in ('sounds', 'sound_ends')}
  heard = example(filmed, alphabet='visemes')
  np.testing.assert_array_equal(heard['labels'][heard['labels'] > 0], labels_of('visemes', phones=record['phones']))
  agree = (heard['frame_labels'] == clip['frame_labels'])[:25].mean()
  assert agree > 0.6, "phones are a recogniser's guess of the sounds, in step with them"
  with pytest.raises(UserError, match='only talking_faces knows its sounds'):
    example(filmed)


def test_characters_are_those_of_the_transcript_and_cannot_be_cut(record):
  clip = example(record | {'text': b'So it is.'}, alphabet='characters')
  assert ''.join(spelled(clip['labels'], 'characters')) == 'SO IT IS' and (clip['frame_labels'] == -1).all()
  with pytest.raises(UserError, match=r'raise config\.data\.clip_frames=10'):
    example(record | {'text': 'So.'}, frames=10, alphabet='characters')
  with pytest.raises(UserError, match='no transcript'):
    example(record, alphabet='characters')
  with pytest.raises(ValueError, match='empty'):  # another record takes its place
    example(record | {'text': '{LG} …'}, alphabet='characters')


def test_more_labels_than_can_be_written_are_refused_and_none_are_needed(record):
  with pytest.raises(ValueError, match=r'more than config\.data\.max_labels=2,'):
    example(record, labels=2)
  for said, fits in ((24 * 'AB', False), (12 * 'AB', True), (24 * 'A', False), (13 * 'A', True)):  # in 25 frames
    with contextlib.nullcontext() if fits else pytest.raises(ValueError, match='can be written'):
      example(record | {'text': said}, labels=50, alphabet='characters')
  silent = example(record, alphabet='')
  assert not silent['labels'].any() and (silent['frame_labels'] == -1).all() and silent['sound'].any()


def test_one_change_is_drawn_for_all_frames(record):
  still = numbered(record) | {'frames': [record['frames'][0]] * 25}
  frames = [
    example(still, seed=k, image_augmentation=ImageAugmentation(0.5, 0.2, 0.5, 0.1))['frames'] for k in range(4)
  ]
  for clip in frames:
    assert (clip[:25] == clip[0]).all() and not clip[25:].any()
  assert len({clip[0].tobytes() for clip in frames}) == 4
