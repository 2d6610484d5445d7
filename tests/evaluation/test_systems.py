"""Systems and controls, on a checkpoint that has hardly been trained."""

import dataclasses
import math

import numpy as np
import pytest
from ml_collections import ConfigDict

from data_pipeline import corpora
from data_pipeline import input as data
from lpips_jax import perceptual, pretrained
from lpips_jax.evaluation import Clip, samples, systems
from lpips_jax.evaluation.scorers import EXPERT_MEASURES, Scorers
from lpips_jax.models.inputs import lower_half

RNG = np.random.default_rng(0)


@pytest.fixture(scope='module')
def makers(clips, generator):
  return systems.candidates_of(clips[0], clips[1], {'generated': generator})


@pytest.fixture(scope='module')
def scorers(directory):
  return Scorers(pretrained.load(directory / 'sync_expert'), lpips_weights=perceptual.random_weights(0, 1 / 16))


def test_every_system_has_its_scores(makers, scorers, generator):
  scores = {name: scorers.score(make()) for name, make in makers.items()}
  assert list(scores) == list(systems.names({'generated': generator}))
  against_truth = {'lower_half_psnr', 'lower_half_ssim', 'perceptual'}
  for name, of_system in scores.items():
    assert {'sync_confidence', 'sync_distance', 'sync_offset', 'mouth_correlation', 'mouth_motion'} <= set(of_system)
    assert (against_truth <= set(of_system)) == (name not in ('cross_audio', 'silent'))
    assert ('leak' in of_system) == (name not in ('generated', 'copy_reference', 'target'))
    assert (set(EXPERT_MEASURES) <= set(of_system)) == (name == 'target')
  assert scores['target']['lower_half_psnr'] is None and scores['target']['lower_half_ssim'] == pytest.approx(1)
  assert scores['target']['perceptual'] == pytest.approx(0, abs=1e-6)
  assert scores['target']['mouth_correlation'] > 0.7
  assert scores['generated'] != scores['untrained']


def test_controls_are_what_they_say(makers, clips):
  target, other = makers['target'](), makers['other_audio']()
  reference, copied = np.roll(clips[0].frames, len(target.frames) // 2, 0), makers['copy_reference']().frames
  np.testing.assert_array_equal(copied[:, :16], target.frames[:, :16])
  np.testing.assert_array_equal(copied[:, 16:], reference[:, 16:])
  cross = makers['cross_audio']()
  np.testing.assert_array_equal(cross.frames, other.frames[: len(cross.frames)])
  assert other.mel is clips[0].mel and cross.mel is clips[1].mel
  silent = makers['silent']()
  assert silent.mel is clips[0].mel and silent.truth is None
  assert np.abs(lower_half(silent.frames) - lower_half(other.frames)).max() > 0
  np.testing.assert_array_equal(silent.reference, clips[0].frames)  # it was shown a mouth at rest
  assert makers['generated']().reference is None


class Echo:
  """A generator that paints a face as bright as the first thing that it hears of a frame, in thousandths."""

  def __init__(self, lead):
    self.config = ConfigDict({'model': {'image_size': 16, 'speech': 'mel'}, 'data': {'lead': lead, 'level': 'as_is'}})

  def __call__(self, faces, windows):
    return np.broadcast_to(windows[:, :1, None, :1] / 1000, (*faces.shape[:3], 3))


def counting(name, first, frames=12):
  """A clip whose mel says, row by row, first, first + 1, and so on."""
  mel = np.repeat(first + np.arange(4.0 * frames, dtype=np.float32)[:, None], 80, 1)
  return Clip(name, name, RNG.integers(256, size=(frames, 16, 16, 3), dtype=np.uint8), mel)


def heard(candidate):
  """The row of a mel that each frame was made from."""
  return np.rint(1000 * candidate.frames.mean((1, 2, 3))).astype(int).tolist()


@pytest.mark.parametrize('lead', [0, 1.0, 2.0])
def test_speech_comes_as_much_ahead_as_the_generator_was_trained_with(lead):
  own, other = counting('own', 0), counting('other', 500)
  candidates = systems.candidates_of(own, other, {'generated': Echo(lead)})
  rows = [max(0, math.floor((k - lead) * 80 / 25)) for k in range(12)]
  assert heard(candidates['generated']()) == rows
  of_other = [500 + row for row in rows]
  assert heard(candidates['other_audio']()) == heard(candidates['cross_audio']()) == of_other
  assert set(heard(candidates['silent']())) == {-4}  # the least that a mel can be
  shown = samples.picture_rows([own], [1], {'generated': Echo(lead)})
  assert round(1000 * shown[2].mean()) == rows[37 % 12]


def test_generators_of_other_sizes_are_scored_at_one(clips, generator):
  larger = data.decode_clips(corpora.source('talking_faces/tiny', 'test', generator.config.data.data_dir), 48)
  make = systems.candidates_of(larger[0], larger[1], {'small': generator})['small']
  assert make().frames.shape == (len(larger[0].frames), 48, 48, 3)


def test_systems_of_several_generators_are_named_after_them():
  assert systems.system_name('wav2lip', 'other_audio') == 'wav2lip other_audio'
  assert systems.system_name('generated', 'silent') == 'silent' and systems.system_name('ours', 'generated') == 'ours'


def test_another_speaker_is_another():
  speakers = ['a', 'a', 'b', 'b', 'a']
  assert all(speakers[systems.other_speaker(i, speakers)] != speakers[i] for i in range(5))
  with pytest.raises(ValueError, match='two speakers'):
    systems.other_speaker(0, ['a', 'a'])


def test_without_another_speaker_there_are_no_controls_with_one(clips, generator):
  makers = systems.candidates_of(clips[0], None, {'generated': generator})
  assert list(makers) == list(systems.names({'generated': generator}, one_speaker=True))
  assert list(makers) == ['generated', 'silent', 'untrained', 'copy_reference', 'target']


def test_an_untrained_network_is_another_and_has_seen_no_updates(generator):
  untrained = systems.untrained(generator)
  assert untrained.fingerprint != generator.fingerprint and untrained.step == 0


def test_the_oracle_is_the_truth_of_foreign_words(clips, generator):
  longer = np.concatenate([clips[0].frames, clips[0].frames[:3]])
  clip = dataclasses.replace(clips[0], dubbed_truth=lambda speech: longer if speech is clips[1] else None)
  makers = systems.candidates_of(clip, clips[1], {'generated': generator})
  assert list(makers) == list(systems.names({'generated': generator}, with_oracle=True))
  oracle, cross = makers['oracle'](), makers['cross_audio']()
  np.testing.assert_array_equal(oracle.frames, longer[: len(clips[1].frames)])
  np.testing.assert_array_equal(oracle.frames, cross.truth)
  assert oracle.mel is clips[1].mel and not oracle.filmed
  np.testing.assert_array_equal(oracle.mouth_opening, cross.mouth_opening)
  np.testing.assert_array_equal(oracle.reference, clip.frames[: len(oracle.frames)])
  assert 'oracle' not in systems.names({'generated': generator}, one_speaker=True, with_oracle=True)
  assert list(systems.names({}, with_oracle=True)) == ['target']
  assert 'oracle' not in systems.candidates_of(clip, None, {'generated': generator})


def speaking(clip, sounds, ends, text=''):
  return dataclasses.replace(clip, sounds=sounds, sound_ends=np.array(ends), text=text)


def test_candidates_know_what_their_lips_should_say():
  """Candidates know all sounds, with their times, and no words of another clip that is longer."""
  own = speaking(counting('own', 0, 10), ('', 'm', 'a'), [20, 50, 80], 'MA')
  other = speaking(counting('other', 500, 15), ('', 'b', 'o', 't'), [10, 70, 90, 120], 'BOAT')
  made = {name: make() for name, make in systems.candidates_of(own, other, {'generated': Echo(1.0)}).items()}
  for name in ('generated', 'other_audio', 'silent', 'copy_reference', 'target'):
    assert made[name].sounds == ('', 'm', 'a') and made[name].text == 'MA', name
    np.testing.assert_array_equal(made[name].sound_ends, [20, 50, 80])
  cross = made['cross_audio']
  assert cross.sounds == other.sounds and cross.text == ''
  np.testing.assert_array_equal(cross.sound_ends, other.sound_ends)
  whole = systems.candidates_of(other, own, {'generated': Echo(1.0)})['cross_audio']()
  assert whole.sounds == own.sounds and whole.text == 'MA'
