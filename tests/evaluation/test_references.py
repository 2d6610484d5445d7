"""References: one for each frame, of the kind that a generator was trained with."""

import numpy as np
import pytest
from ml_collections import ConfigDict

from data_pipeline.corpora.talking_faces.clips import clip_record
from data_pipeline.input import decode_clip
from lpips_jax.evaluation import references
from lpips_jax.faces.mouth import mouth_opening


@pytest.fixture(scope='module')
def frames():
  return decode_clip(clip_record(1, 'test', 0, 0, 2.4, 48), 48).frames


def test_each_kind_of_reference_is_what_it_says(frames):
  shown = {name: choose(frames) for name, choose in references.REFERENCES.items()}
  assert {array.shape for array in shown.values()} == {frames.shape}
  np.testing.assert_array_equal(shown['current'], frames)
  np.testing.assert_array_equal(shown['elsewhere'][len(frames) // 2], frames[0])
  assert mouth_opening(shown['rest']).max() < 0.5 * mouth_opening(frames).max()
  assert np.ptp(shown['rest'][:, :20].astype(int), axis=0).max() > 0  # it follows the head


@pytest.mark.parametrize('data, name', [({'reference': 'rest'}, 'rest'), ({}, 'elsewhere')])
def test_a_generator_is_shown_what_it_was_trained_with(frames, data, name):
  config = ConfigDict({'data': data})
  assert references.reference_of(config.data) == name
  np.testing.assert_array_equal(references.references_of(config.data, frames), references.REFERENCES[name](frames))


def test_a_mouth_at_rest_leaves_no_trace_so_the_filmed_one_is_compared(frames):
  assert references.leaking_faces(frames, 'rest') is frames
  np.testing.assert_array_equal(references.leaking_faces(frames, 'elsewhere'), references.elsewhere(frames))
