"""What is said: gestures and sound must follow from the same phonemes."""

import numpy as np
import pytest

from data_pipeline.corpora.talking_faces.articulation import (
  BILABIALS,
  CONSONANTS,
  RATE,
  VOWELS,
  articulate,
  at_frames,
  perform,
)
from data_pipeline.corpora.talking_faces.voice import Voice, draw_voice, speak
from lpips_jax.audio.mel import SAMPLE_RATE

# What version 2.1.0 of the corpus says.
PHONEMES = ['u', 'b', 'e', 'u', '', 'uh', 'g', 'ae']
STARTS = [0, 16, 44, 74, 101, 135, 163, 189]
OPENINGS = [0.4166622, 0, 0.6158485, 0.4268382, 0.0675102, 0, 0.5361493, 0.4523129]

VOICE = Voice(pitch=140, intonation=0.2, tract=1.0, breath=0.02, level=0.1, hiss=3e-4)


@pytest.fixture(scope='module')
def speech():
  """Twenty seconds of articulation and their sound."""
  articulation = articulate(np.random.default_rng(3), seconds=20)
  return articulation, speak(articulation, VOICE, np.random.default_rng(4)) / 32768


def test_same_numbers_same_speech():
  one, two, other = (articulate(np.random.default_rng(seed), 1.0) for seed in (1, 1, 2))
  np.testing.assert_array_equal(one.opening, two.opening)
  assert not np.array_equal(one.opening, other.opening)
  voices = [draw_voice(np.random.default_rng(5)) for _ in range(2)]
  sounds = [speak(one, voice, np.random.default_rng(6)) for voice in voices]
  np.testing.assert_array_equal(*sounds)
  assert sounds[0].dtype == np.int16 and sounds[0].shape == (SAMPLE_RATE,)


def test_given_sounds_are_said_for_as_long_as_asked():
  said = perform(['', 'm', 'a', 'p', 'i', ''], [0.3, 0.1, 0.2, 0.1, 0.2, 0.3])
  # A stop is closed for its time, and released for 25 ms.
  steps = {'': 120, 'm': 20, 'a': 40, 'p': 25, 'i': 40}
  assert {name: int((said.phonemes == name).sum()) for name in steps} == steps
  assert said.opening[said.phonemes == 'a'].max() > 0.8 and said.opening[said.phonemes == 'm'].min() == 0
  assert said.width[said.phonemes == 'i'].max() > 0.8 and not said.opening[[0, -1]].any()
  usual, hasty = (perform(['a', 's', 'o'], tempo=tempo) for tempo in (1, 2))
  means = [VOWELS['a'].seconds, CONSONANTS['s'].seconds, VOWELS['o'].seconds]
  assert len(usual.opening) == round(sum(means) * RATE) == 2 * len(hasty.opening)
  assert perform(['', 'a'], effort=0.5).opening.max() == pytest.approx(perform(['', 'a']).opening.max() / 2)
  plain, stressed = (perform(['b', 'e', ''], stresses=[stress, stress, 0]) for stress in (0, 6))
  assert stressed.opening.max() > plain.opening.max() + 0.1 and stressed.press.max() == plain.press.max()
  assert stressed.voicing.max() == pytest.approx(plain.voicing.max() * 10**0.3)
  silence = perform([''], [1.0])
  assert not silence.opening.any() and not silence.voicing.any() and len(silence.opening) == RATE
  with pytest.raises(ValueError, match=r"no sounds are called \['q', 'x'\]"):
    perform(['a', 'x', 'q'])


def test_random_speech_is_a_performance_of_its_sounds():
  """Corpora that are drawn anew must say what they always said."""
  speech = articulate(np.random.default_rng(7), 1.0)
  starts = np.flatnonzero(np.append(True, speech.phonemes[1:] != speech.phonemes[:-1]))
  assert list(speech.phonemes[starts]) == PHONEMES and list(starts) == STARTS
  np.testing.assert_allclose(speech.opening[::25], OPENINGS, atol=1e-6)


def test_lips_meet_on_bilabials_and_rest_in_silence(speech):
  articulation, _ = speech
  spoken = articulation.phonemes
  for name in BILABIALS:
    starts, ends = _runs(spoken == name)
    assert len(starts) > 2, f'no {name} in 20 s'
    shut = [articulation.opening[start:end].min() for start, end in zip(starts, ends, strict=True)]
    assert max(shut) == 0, f'the lips do not meet on {name}'
  starts, ends = _runs(spoken == '')
  for start, end in zip(starts, ends, strict=True):
    assert articulation.opening[(start + end) // 2] == 0


def test_opening_follows_the_first_formant_and_width_the_second(speech):
  articulation, _ = speech
  vowel = np.isin(articulation.phonemes, list(VOWELS))
  assert np.corrcoef(articulation.opening[vowel], articulation.formants[vowel, 0])[0, 1] > 0.85
  assert np.corrcoef(articulation.width[vowel], articulation.formants[vowel, 1])[0, 1] > 0.85


def test_three_seconds_never_go_without_silence():
  for seed in range(60):
    assert (articulate(np.random.default_rng(seed), 3.0, tempo=0.85).phonemes == '').any(), f'seed {seed}'


def test_openings_of_two_clips_have_nothing_in_common():
  openings = [at_frames(articulate(np.random.default_rng(seed), 3.0).opening, 75) for seed in range(80)]
  pairs = np.corrcoef(openings)[np.triu_indices(80, 1)]
  assert abs(pairs.mean()) < 0.03


def test_silence_is_quiet_and_sibilants_hiss(speech):
  articulation, sound = speech
  steps = sound.reshape(len(articulation.phonemes), -1)
  level = np.sqrt(np.mean(steps**2, axis=1))
  inner_silence = _eroded(articulation.phonemes == '', 6)
  assert level[inner_silence].mean() < 0.02 * level[articulation.phonemes == 'a'].mean()
  crossings = np.mean(np.diff(np.sign(steps), axis=1) != 0, axis=1)
  assert crossings[articulation.phonemes == 's'].mean() > 3 * crossings[articulation.phonemes == 'a'].mean()


def test_vowels_are_heard_where_their_formants_are(speech):
  articulation, sound = speech
  frequencies = np.fft.rfftfreq(512, 1 / SAMPLE_RATE)
  heard = {}
  for name in VOWELS:
    starts, ends = _runs(articulation.phonemes == name)
    middles = [(start + end) // 2 * (SAMPLE_RATE // RATE) for start, end in zip(starts, ends, strict=True)]
    pieces = [
      sound[middle - 256 : middle + 256] * np.hanning(512) for middle in middles if 256 < middle < len(sound) - 256
    ]
    heard[name] = np.sqrt(np.mean([np.abs(np.fft.rfft(piece)) ** 2 for piece in pieces], axis=0))

  def share(name, low, high):
    band = (frequencies >= low) & (frequencies < high)
    return heard[name][band].sum() / heard[name].sum()

  assert share('a', 650, 950) > 2 * share('i', 650, 950)
  assert share('i', 2000, 2700) > 2 * share('u', 2000, 2700)
  assert share('i', 150, 400) > 2 * share('a', 150, 400)


def test_sound_and_lips_are_in_step(speech):
  """The level of the sound, as a function of time, must fit the opening best without any shift."""
  articulation, sound = speech
  n_frames = 500
  opening = at_frames(articulation.opening, n_frames)
  level = np.log(np.sqrt(np.mean(sound.reshape(n_frames, -1) ** 2, axis=1)) + 1e-4)
  fit = {shift: np.corrcoef(np.roll(opening, shift), level)[0, 1] for shift in range(-4, 5)}
  assert max(fit, key=fit.get) == 0
  assert fit[0] > 0.6
  assert max(fit[-3], fit[3]) < fit[0] - 0.2


def _runs(mask):
  """Starts and ends of the runs of True that lie wholly inside."""
  edges = np.diff(mask.astype(int))
  starts, ends = np.flatnonzero(edges == 1) + 1, np.flatnonzero(edges == -1) + 1
  ends = ends[ends > starts[0]] if len(starts) else ends
  return starts[: len(ends)], ends


def _eroded(mask, steps):
  return np.convolve(mask, np.ones(2 * steps + 1), 'same') == 2 * steps + 1
