"""Descriptions tell callers without this project what an exported network takes, hears and returns."""

from types import SimpleNamespace

import numpy as np
import pytest
from ml_collections import ConfigDict
from networks import random_network

from lpips_jax.audio.av_features import av_features
from lpips_jax.interop.description import describe, inputs_of


@pytest.mark.parametrize(
  ('model', 'inputs'),
  [
    ({'name': 'attn_wav2lip', 'speech': 'mel'}, [('faces', (0, 1)), ('mels', (-4, 4))]),
    ({'name': 'attn_wav2lip', 'speech': 'visemes'}, [('faces', (0, 1)), ('visemes', (0, 1))]),
    ({'name': 'wav2lip'}, [('faces', (0, 1)), ('mels', (-4, 4))]),
    ({'name': 'sync_expert', 'speech': 'phones'}, [('frames', (0, 1)), ('phones', (0, 1))]),
    ({'name': 'inception'}, [('images', (0, 1))]),
  ],
)
def test_inputs_are_described_in_the_form_in_which_the_network_hears(model, inputs):
  config = ConfigDict({'model': {'image_size': 96, **model}})
  described = describe(SimpleNamespace(config=config, step=1))['inputs']
  assert [(each['name'], tuple(each['range'])) for each in described] == inputs
  assert all(each['is'].startswith('windows of') for each in described if each['name'] in ('mels', 'phones', 'visemes'))


def test_networks_of_clips_take_any_number_of_frames():
  reader, expert = (describe(random_network(name)) for name in ('lip_reader', 'av_expert'))
  shapes = {each['name']: each['shape'] for each in expert['inputs']}
  assert shapes == {'sound': ['batch', 'frames', 104], 'frames': ['batch', 'frames', 32, 32, 3]}
  assert [each['name'] for each in reader['inputs']] == ['frames']
  assert len(reader['alphabet']) == 18 and reader['alphabet'][0] == '' and reader['frame_rate'] == 25
  assert 'mel' not in reader and 'mel' not in expert


def test_sound_is_computed_as_it_is_described():
  said = describe(random_network('av_expert'))['sound']
  samples = np.random.default_rng(0).integers(-9000, 9000, 4000).astype(np.float64)
  emphasised = np.append(samples[0], samples[1:] - said['pre_emphasis'] * samples[:-1])
  size, hop, bands = said['fft_size'], said['hop'], said['bands']
  frames = [emphasised[k * hop : k * hop + said['frame']] for k in range(8)]
  power = np.abs(np.fft.rfft(frames, size)) ** 2 / size
  mels = np.linspace(0, 2595 * np.log10(1 + said['sample_rate'] / 2 / 700), bands + 2)
  corners = np.floor((size + 1) * 700 * (10 ** (mels / 2595) - 1) / said['sample_rate'])
  triangles = [np.interp(range(size // 2 + 1), corners[k : k + 3], [0, 1, 0]) for k in range(bands)]
  stacked = np.log(power @ np.transpose(triangles)).reshape(2, -1)
  expected = (stacked - stacked.mean(1, keepdims=True)) / np.sqrt(stacked.var(1, keepdims=True) + 1e-5)
  np.testing.assert_allclose(av_features(samples, 2), expected, atol=1e-4)


def test_axes_of_other_networks_are_of_one_size():
  assert inputs_of(random_network('memory').config.model)[0].shape == ('batch', 32, 32, 6)


def test_long_windows_are_described():
  config = ConfigDict({'model': {'name': 'attn_wav2lip', 'image_size': 96, 'speech_window': 48}})
  described = describe(SimpleNamespace(config=config, step=1))
  assert described['inputs'][1]['shape'] == ['batch', 80, 48]
  assert described['window'] == '48 mel frames from floor(80 (k - lead) / frame rate) - 16 on belong to frame k'
