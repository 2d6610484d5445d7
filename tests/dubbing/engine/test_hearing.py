"""The speech of a dub, to the row of the mel: each frame hears its own moment, and no frame is missing."""

import dataclasses
import math
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ml_collections import ConfigDict
from painter import Painter, write_boxes, write_clip

from lpips_jax.audio.visemes import VISEMES
from lpips_jax.core.errors import UserError
from lpips_jax.dubbing import dub
from lpips_jax.dubbing.inputs import Inputs, until
from lpips_jax.media.speech import write_speech
from lpips_jax.media.video_reader import VideoInfo, probe

LEAD = Fraction(2, 25)  # seconds: of a generator that was trained with two frames of 25 a second
RATES = Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(50), Fraction(60000, 1001)


class Listener(Painter):
  """A painter that keeps the windows it hears, (80, 16) for each frame."""

  def __init__(self):
    super().__init__()
    self.heard = []

  def __call__(self, faces, mels):
    self.heard += list(np.asarray(mels))
    return super().__call__(faces, mels)


@pytest.mark.parametrize('rate', [Fraction(25), Fraction(30000, 1001)])
def test_each_frame_hears_its_own_moment(tmp_path, rate):
  """A click in the middle of row 80 t lies 80 t - floor(80 (time of the frame - lead)) rows into its window."""
  rows = np.arange(16, 100, 7)
  samples = np.zeros(20_000, np.int16)
  samples[200 * rows] = 20_000
  write_speech(tmp_path / 'clicks.wav', samples)
  face, boxes, listener = (
    write_clip(tmp_path / 'face.mp4', 25, rate),
    write_boxes(tmp_path / 'boxes.json', 25),
    Listener(),
  )
  dub(face, tmp_path / 'clicks.wav', tmp_path / 'out.mp4', listener, boxes=boxes, length='video', batch_size=4)
  seen = 0
  for k, window in enumerate(listener.heard[:25]):
    begin = math.floor(80 * (k / rate - LEAD))
    loud = window.mean(axis=0)
    for row in rows:
      if 2 <= row - begin < 14:
        around = loud[row - begin - 2 : row - begin + 3]
        assert around.argmax() == 2, f'frame {k} hears the click of row {row} {around.argmax() - 2} rows late'
        seen += 1
  assert seen > 25


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.sampled_from(RATES), st.integers(1, 200), st.integers(1, 100_000), st.booleans())
def test_a_dub_has_every_frame_that_begins_before_the_end(rate, filmed, samples, there_and_back):
  """It has the frames that begin before the end of the audio, at least one; as the shorter, no more than filmed."""
  end = Fraction(samples, 16_000)
  count = 400 if there_and_back else filmed
  shown = list(until((SimpleNamespace(time=k / rate) for k in range(count)), end))
  of_sound = max(1, sum(k / rate < end for k in range(count)))
  assert len(shown) == of_sound
  info = VideoInfo(32, 32, rate, frames=filmed)
  inputs = Inputs('', info, '', np.zeros(samples), Fraction(0), there_and_back, there_and_back, Fraction(0), end, end)
  assert inputs.frames == len(shown)
  assert 0 <= len(shown) / rate - end < 1 / rate or len(shown) in (1, count)
  assert dataclasses.replace(inputs, end=None, whole_end=None, there_and_back=False).frames == filmed


@pytest.mark.parametrize(('samples', 'filmed'), [(1, 3), (6400, 25), (6401, 25), (32_000, 7)])
@pytest.mark.parametrize('rate', [Fraction(25), Fraction(30000, 1001)])
def test_files_have_the_frames_that_begin_before_the_end(tmp_path, samples, filmed, rate):
  face, boxes = write_clip(tmp_path / 'face.mp4', filmed, rate), write_boxes(tmp_path / 'boxes.json', filmed)
  write_speech(tmp_path / 'a.wav', np.random.default_rng(0).integers(-9000, 9000, samples).astype(np.int16))
  of_sound = max(1, math.ceil(Fraction(samples, 16_000) * rate))
  for length, frames in (('audio', of_sound), ('video', filmed), ('shortest', min(of_sound, filmed))):
    dub(face, tmp_path / 'a.wav', tmp_path / 'out.mp4', Painter(), boxes=boxes, length=length)
    assert probe(tmp_path / 'out.mp4').frames == frames


@pytest.mark.parametrize('begin', [0.0, 0.3])
def test_phones_that_a_voice_tells_are_heard_at_their_times(tmp_path, begin):
  """The sounds of a part of the speech reach the network; the lead is that of `Painter`."""
  write_speech(tmp_path / 'speech.wav', np.full(16_000, 5000, np.int16))
  said = [('', 0.4), ('B', 0.6), ('AA', 1.0)]
  listener = Listener()
  listener.config = ConfigDict(Painter.config.to_dict() | {'model': {'image_size': 32, 'speech': 'visemes'}})
  face, boxes = write_clip(tmp_path / 'face.mp4', 12), write_boxes(tmp_path / 'boxes.json', 12)
  part = {'audio_part': (begin, 1.0)} if begin else {}
  dub(face, tmp_path / 'speech.wav', tmp_path / 'out.mp4', listener, boxes=boxes, length='video', said=said, **part)
  shown = [VISEMES[window[: len(VISEMES), 7].argmax()] for window in listener.heard[3:12]]  # of the row 7/80 s later
  times = [begin + (math.floor(80 * (Fraction(k, 25) - LEAD)) + 7) / 80 for k in range(3, 12)]
  assert shown == ['rest' if time < 0.4 else 'p' if time < 0.6 else 'a' for time in times]
  assert len(set(shown)) > 1


def test_a_generator_of_mels_is_refused_before_the_film_is_read(tmp_path):
  write_speech(tmp_path / 'speech.wav', np.zeros(16_000, np.int16))
  with pytest.raises(UserError, match='drive=visemes needs a generator that hears'):
    dub(tmp_path / 'nowhere.mp4', tmp_path / 'speech.wav', tmp_path / 'out.mp4', Painter(), said=[('', 1.0)])
