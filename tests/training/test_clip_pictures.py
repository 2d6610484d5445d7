"""Pictures of what a lip reader reads in a clip, and of how alike lips and sound are by their shift."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from ml_collections import ConfigDict

from lpips_jax.audio.alphabets import ALPHABETS
from lpips_jax.evaluation import Clip
from lpips_jax.training import clip_pictures

RNG = np.random.default_rng(0)
CLIP = Clip(
  name='a',
  speaker='b',
  frames=np.zeros((30, 8, 8, 3), np.uint8),
  mel=np.zeros((96, 80), np.float32),
  audio=np.zeros(30 * 640, np.int16),
  sounds=('', 'm', 'a', 'm', ''),
  sound_ends=np.array([40, 80, 160, 200, 240]),  # of 5 ms
  text='on it',
)


def reader(alphabet, read):
  """Is sure of the label at each frame, and saw all frames and their number."""

  def call(frames, length):
    assert frames.shape[:2] == (1, 50) and length.tolist() == [30]
    logits = np.full((1, 50, len(ALPHABETS[alphabet])), -9.0)
    logits[0, np.arange(50), read] = 9.0
    return logits

  call.config = ConfigDict({'model': {'alphabet': alphabet}})
  return call


def test_what_is_read_stands_beside_what_is_said():
  m, a = (ALPHABETS['sounds'].index(sound) for sound in 'ma')
  path = np.zeros(50, int)
  path[[6, 7, 12, 13, 14]] = m, m, a, a, a
  path[40] = m  # past the end
  picture, line = clip_pictures.read(reader('sounds', path), CLIP)
  assert line == 'said: m a m; read: m a'
  other, _ = clip_pictures.read(reader('sounds', np.zeros(50, int)), CLIP)
  assert picture.dtype == np.uint8 and picture.shape[2] == 3 and not np.array_equal(picture, other)
  unsaid = dataclasses.replace(CLIP, sounds=('', 'a', ''), sound_ends=np.array([40, 160, 240]))
  assert not np.array_equal(picture, clip_pictures.read(reader('sounds', path), unsaid)[0])


def test_characters_have_no_times():
  _, line = clip_pictures.read(reader('characters', np.zeros(50, int)), CLIP)
  assert line == 'said: ON IT; read: –'


@pytest.mark.parametrize(
  ('best', 'said'), [(0, 'their own sound'), (4, 'the sound 4 frames later'), (-2, 'the sound 2 frames earlier')]
)
def test_lips_are_compared_with_the_sound_of_other_times(best, said, monkeypatch):
  asked = []

  def by_shift(expert, speech, crops):
    asked.append((speech.shape, crops.shape, crops.dtype))
    cosines = np.full((21, 7), 0.1)  # a reach of 10
    cosines[10 + best] = 0.6, 0.7, 0.8, 0.6, 0.7, 0.8, 0.7
    return cosines

  monkeypatch.setattr(clip_pictures, 'cosines_by_shift', by_shift)
  picture, line = clip_pictures.compare(SimpleNamespace(), [CLIP, dataclasses.replace(CLIP, audio=None)])
  assert line == f'lips are most like {said}: a cosine of 0.70, of others 0.10'
  assert asked == [((30, 104), (30, 8, 8, 3), np.float32)]
  assert picture.shape[2] == 3 and picture.min() < 128


def test_clips_too_short_to_compare_are_no_error():
  short = dataclasses.replace(CLIP, frames=CLIP.frames[:6])
  assert clip_pictures.compare(SimpleNamespace(), [short])[1] == 'no clip is long enough to compare'
