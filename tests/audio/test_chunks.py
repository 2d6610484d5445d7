"""Chunked arrays equal the arrays that they stand for, however they are cut and in whatever order they are read."""

import tracemalloc
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lpips_jax.audio import loudness, phones
from lpips_jax.audio import mel as mel_module
from lpips_jax.audio.chunks import ChunkedArray, in_chunks, mapped, shifted, whole
from lpips_jax.audio.mel import chunked_mel, melspectrogram
from lpips_jax.audio.phones import PhoneTrack, phone_track
from lpips_jax.dubbing.speech import Speech, find_pauses

cuts = st.lists(st.integers(1, 7), min_size=1, max_size=12)
many = settings(max_examples=60, deadline=None, derandomize=True)


def chunked(array, sizes):
  places = np.cumsum(sizes)
  return ChunkedArray(lambda: (piece for piece in np.split(array, places[places < len(array)])), len(array))


@many
@given(cuts, st.lists(st.tuples(st.integers(0, 90), st.integers(0, 90)), max_size=8))
def test_slices_are_those_of_the_whole(sizes, slices):
  array = np.arange(sum(sizes))
  one = chunked(array, sizes)
  assert len(one) == len(array)
  for first, last in slices:
    np.testing.assert_array_equal(one[first:last], array[first:last])
  np.testing.assert_array_equal(whole(one), array)


@many
@given(cuts, st.integers(1, 20), st.integers(-9, 9), st.integers(0, 9))
def test_chunks_of_a_given_size_and_silence_around(sizes, size, before, after):
  array = np.arange(sum(sizes) + 9.0)
  one = chunked(array, sizes)
  lengths = [len(piece) for piece in in_chunks(one, size)]
  assert lengths == [len(piece) for piece in in_chunks(array, size)] and sum(lengths) == len(array)
  expected = np.concatenate([np.zeros(max(before, 0)), array[max(-before, 0) :], np.zeros(after)])
  np.testing.assert_array_equal(whole(shifted(one, before, after)), expected)
  assert len(shifted(one, before, after)) == len(expected)
  np.testing.assert_array_equal(whole(mapped(np.negative, one)), -array)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.integers(1, 40_000), st.integers(1, 9000))
def test_chunked_sound_is_heard_like_whole_sound(length, size):
  rng = np.random.default_rng(length)
  level = np.repeat(rng.choice([1e-3, 0.2], 1 + length // 4000), 4000)[:length]
  samples = (level * rng.standard_normal(length) + 0.01).astype(np.float32)
  one = ChunkedArray(lambda: in_chunks(samples, size), length)
  mel = chunked_mel(one)
  assert len(mel) == len(melspectrogram(samples))
  np.testing.assert_array_equal(whole(mel), melspectrogram(samples))
  assert loudness.speech_level(one) == loudness.speech_level(samples)
  np.testing.assert_array_equal(whole(loudness.levelled(one)), loudness.levelled(samples))
  np.testing.assert_array_equal(find_pauses(one), find_pauses(samples))


def test_blocks_of_a_long_spectrogram_join_to_the_bit(monkeypatch):
  samples = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
  whole_mel = melspectrogram(samples)
  monkeypatch.setattr(mel_module, 'BLOCK_ROWS', 16)
  monkeypatch.setattr(phones, 'BLOCK_ROWS', 16)
  joined = whole(chunked_mel(ChunkedArray(lambda: in_chunks(samples, 777), len(samples))))
  np.testing.assert_allclose(joined, whole_mel, atol=1e-5)  # other blocks are multiplied in another order
  np.testing.assert_array_equal(joined, melspectrogram(samples))


def test_a_phone_track_of_a_chunked_mel():
  mel = melspectrogram(np.random.default_rng(0).standard_normal(32_000))
  heard = np.arange(len(mel)) % 40
  track = PhoneTrack(heard, chunked(mel, [10, 50, 3]))
  np.testing.assert_array_equal(track[20:70], phone_track(heard, mel)[20:70])


def test_long_speech_takes_no_more_memory():
  """A minute, and four: samples alone would take 11 MB more, and a spectrogram 6 MB."""
  minute = (0.1 * np.random.default_rng(0).standard_normal(60 * 16_000)).astype(np.float32)

  def peak(minutes):
    sound = ChunkedArray(
      lambda: (piece for _ in range(minutes) for piece in in_chunks(minute, 4096)), minutes * len(minute)
    )
    tracemalloc.start()
    speech = Speech(sound, pauses=True)
    for second in range(0, 60 * minutes, 5):
      speech([Fraction(second)], Fraction(2, 25))
    made = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return made / 1e6

  assert peak(4) < peak(1) + 2
