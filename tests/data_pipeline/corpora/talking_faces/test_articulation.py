"""Articulation: gestures follow from the phonemes."""

import dataclasses

import numpy as np
import pytest
from stretches import stretches

from data_pipeline.corpora.talking_faces.articulation import (
  BILABIALS,
  CONSONANTS,
  GESTURE_RATE,
  VOWELS,
  articulate,
  at_frames,
  perform,
)

# The speech of version 2.1.0 of the corpus.
PHONEMES = ['u', 'b', 'e', 'u', '', 'uh', 'g', 'ae']
STARTS = [0, 16, 44, 74, 101, 135, 163, 189]
OPENINGS = [0.4166622, 0, 0.6158485, 0.4268382, 0.0675102, 0, 0.5361493, 0.4523129]


def test_the_same_seed_gives_the_same_speech():
  one, two, other = (articulate(np.random.default_rng(seed), 1.0) for seed in (1, 1, 2))
  np.testing.assert_array_equal(one.opening, two.opening)
  assert not np.array_equal(one.opening, other.opening)


def test_given_sounds_are_said_for_as_long_as_asked():
  said = perform(['', 'm', 'a', 'p', 'i', ''], [0.3, 0.1, 0.2, 0.1, 0.2, 0.3])
  # A stop is closed for its time, and released for 25 ms.
  steps = {'': 120, 'm': 20, 'a': 40, 'p': 25, 'i': 40}
  assert {name: int((said.phonemes == name).sum()) for name in steps} == steps
  assert said.opening[said.phonemes == 'a'].max() > 0.8 and said.opening[said.phonemes == 'm'].min() == 0
  assert said.width[said.phonemes == 'i'].max() > 0.8 and not said.opening[[0, -1]].any()
  usual, hasty = (perform(['a', 's', 'o'], tempo=tempo) for tempo in (1, 2))
  means = [VOWELS['a'].seconds, CONSONANTS['s'].seconds, VOWELS['o'].seconds]
  assert len(usual.opening) == round(sum(means) * GESTURE_RATE) == 2 * len(hasty.opening)
  assert perform(['', 'a'], effort=0.5).opening.max() == pytest.approx(perform(['', 'a']).opening.max() / 2)
  plain, stressed = (perform(['b', 'e', ''], stresses=[stress, stress, 0]) for stress in (0, 6))
  assert stressed.opening.max() > plain.opening.max() + 0.1 and stressed.press.max() == plain.press.max()
  assert stressed.voicing.max() == pytest.approx(plain.voicing.max() * 10**0.3)
  silence = perform([''], [1.0])
  assert not silence.opening.any() and not silence.voicing.any() and len(silence.opening) == GESTURE_RATE
  with pytest.raises(ValueError, match=r"no sounds are called \['q', 'x'\]"):
    perform(['a', 'x', 'q'])


def test_sounds_are_told_apart_where_their_names_are_equal_and_a_stop_is_one():
  said = perform(['', 'k', 'k', 'a', 'a', 'p', ''], [0.2, 0.1, 0.1, 0.15, 0.1, 0.1, 0.2])
  sounds, ends = said.sounds()
  assert sounds == ['', 'k', 'k', 'a', 'a', 'p', ''] and ends.dtype == np.int32
  # In steps of 5 ms: a stop lasts 25 ms longer, for its burst.
  assert list(ends) == [40, 65, 90, 120, 140, 165, 205] and ends[-1] == len(said.opening)


def test_sounds_that_a_clip_cuts_off_keep_the_part_within():
  speech = articulate(np.random.default_rng(7), 1.0)
  sounds, ends = speech.sounds()
  assert sounds == PHONEMES and list(ends) == [*STARTS[1:], len(speech.opening)]
  for name, first, last in zip(sounds, [0, *ends], ends, strict=False):
    assert set(speech.phonemes[first:last]) == {name}
  inside = perform(['a', 'k', 'a'], [0.1, 0.1, 0.1])  # cut in the middle of the closure, and of its burst
  for first, last in ((30, 60), (42, 60)):
    cut = dataclasses.replace(inside, phonemes=inside.phonemes[first:last], begins=inside.begins[first:last])
    assert cut.sounds()[0] == ['k', 'a'] and list(cut.sounds()[1]) == [45 - first, last - first]


def test_random_speech_is_a_performance_of_its_sounds():
  """Corpora that are drawn again must say what they said before."""
  speech = articulate(np.random.default_rng(7), 1.0)
  starts = np.flatnonzero(np.append(True, speech.phonemes[1:] != speech.phonemes[:-1]))
  assert list(speech.phonemes[starts]) == PHONEMES and list(starts) == STARTS
  np.testing.assert_allclose(speech.opening[::25], OPENINGS, atol=1e-6)


def test_lips_meet_on_bilabials_and_rest_in_silence(speech):
  articulation, _ = speech
  spoken = articulation.phonemes
  for name in BILABIALS:
    starts, ends = stretches(spoken == name)
    assert len(starts) > 2, f'no {name} in 20 s'
    shut = [articulation.opening[start:end].min() for start, end in zip(starts, ends, strict=True)]
    assert max(shut) == 0, f'the lips do not meet on {name}'
  starts, ends = stretches(spoken == '')
  for start, end in zip(starts, ends, strict=True):
    assert articulation.opening[(start + end) // 2] == 0


def test_opening_follows_the_first_formant_and_width_the_second(speech):
  articulation, _ = speech
  vowel = np.isin(articulation.phonemes, list(VOWELS))
  assert np.corrcoef(articulation.opening[vowel], articulation.formants[vowel, 0])[0, 1] > 0.85
  assert np.corrcoef(articulation.width[vowel], articulation.formants[vowel, 1])[0, 1] > 0.85


def test_three_seconds_always_have_a_pause():
  for seed in range(60):
    assert (articulate(np.random.default_rng(seed), 3.0, tempo=0.85).phonemes == '').any(), f'seed {seed}'


def test_openings_of_two_clips_are_uncorrelated():
  openings = [at_frames(articulate(np.random.default_rng(seed), 3.0).opening, 75) for seed in range(80)]
  pairs = np.corrcoef(openings)[np.triu_indices(80, 1)]
  assert abs(pairs.mean()) < 0.03
