"""The voice: its sound follows the articulation, in step with the lips."""

import numpy as np
from stretches import stretches

from data_pipeline.corpora.talking_faces.articulation import GESTURE_RATE, VOWELS, articulate, at_frames
from data_pipeline.corpora.talking_faces.voice import draw_voice, speak
from lpips_jax.core.constants import SAMPLE_RATE


def test_the_same_seed_gives_the_same_sound():
  speech = articulate(np.random.default_rng(1), 1.0)
  voices = [draw_voice(np.random.default_rng(5)) for _ in range(2)]
  sounds = [speak(speech, voice, np.random.default_rng(6)) for voice in voices]
  np.testing.assert_array_equal(*sounds)
  assert sounds[0].dtype == np.int16 and sounds[0].shape == (SAMPLE_RATE,)


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
    starts, ends = stretches(articulation.phonemes == name)
    middles = [(start + end) // 2 * (SAMPLE_RATE // GESTURE_RATE) for start, end in zip(starts, ends, strict=True)]
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


def _eroded(mask, steps):
  return np.convolve(mask, np.ones(2 * steps + 1), 'same') == 2 * steps + 1
