"""The engine, with a generator that paints what it is told: which frames it sees, when, and what becomes of them."""

import itertools
import json
import os
import shutil
from fractions import Fraction

import cv2
import numpy as np
import pytest
from painter import BOX, MOUTH, Painter, write_boxes, write_clip, write_speech

from data_pipeline.corpora.talking_faces.clips import draw_clip
from lpips_jax.core.errors import UserError
from lpips_jax.dubbing import dub
from lpips_jax.faces.cropping import crop
from lpips_jax.media.speech import load_speech
from lpips_jax.media.video_reader import probe, read_frames


@pytest.mark.parametrize(('length', 'frames'), [('audio', 40), ('video', 20), ('shortest', 20)])
def test_length(media, length, frames):
  dub(**media, checkpoint=Painter(), length=length)
  info = probe(media['output'])
  assert (info.width, info.height, info.rate, info.frames) == (120, 96, 25, frames)
  assert len(load_speech(media['output'])) == frames * 640


def test_a_longer_video_is_cut_and_silence_follows_short_speech(media, tmp_path):
  media['audio'] = write_speech(tmp_path / 'short.wav', 0, 0.3)
  dub(**media, checkpoint=Painter())
  assert probe(media['output']).frames == 8  # 7.5, so that none of the speech is lost
  dub(**media, checkpoint=Painter(), length='video')
  mouths = [frame[MOUTH].mean() for frame in read_frames(media['output'])]
  assert len(mouths) == 20
  assert min(mouths[:6]) > 180 and max(mouths[10:]) < 60


@pytest.mark.parametrize('rate', [Fraction(25), Fraction(30000, 1001)])
def test_the_mouth_moves_when_the_speech_starts(media, tmp_path, rate):
  media['face'] = write_clip(tmp_path / 'face.mp4', 20, rate)
  dub(**media, checkpoint=Painter(), batch_size=7)
  spoken = [frame[MOUTH].mean() > 128 for frame in read_frames(media['output'])]
  assert abs(spoken.index(True) - float(Fraction(4, 5) * rate)) <= 2
  assert spoken == sorted(spoken)


def test_there_and_back_with_its_own_boxes(media, tmp_path):
  moving = [[10 + 2 * k, 20, 70 + 2 * k, 84] for k in range(20)]
  media['boxes'].write_text(json.dumps(moving))
  dub(**media, checkpoint=Painter())
  source = list(read_frames(media['face']))
  for k, frame in enumerate(read_frames(media['output'])):
    of = k if k < 20 else 38 - k
    left = moving[abs(of)][0]
    assert abs(frame[:30].astype(int) - source[abs(of)][:30]).max() < 6, f'frame {k} shows frame {of}'
    expected = 255 if k > 21 else 0
    if not 18 <= k <= 21:
      assert abs(frame[62:72, left + 24 : left + 36].mean() - expected) < 60, f'frame {k} has its mouth elsewhere'


def test_frames_without_a_face_pass_untouched(media):
  write_boxes(media['boxes'], 12, without=(3, 4))  # nothing is said of the frames after the twelfth either
  model = Painter()
  dub(**media, checkpoint=model, length='video', batch_size=5)
  changed = [abs(frame[MOUTH].mean() - (60 + 4 * k)) > 20 for k, frame in enumerate(read_frames(media['output']))]
  assert changed == [k < 12 and k not in (3, 4) for k in range(20)]
  assert set(model.shapes) == {((5, 32, 32, 6), (5, 80, 16))} and len(model.shapes) == 3


def test_what_the_generator_sees(media):
  model = Painter()
  dub(**media, checkpoint=model, length='video', batch_size=20)
  first = crop(next(read_frames(media['face'])), BOX, 32) / 255
  np.testing.assert_allclose(model.faces[0, :16, :, :3], first[:16], atol=1.01 / 255)
  np.testing.assert_array_equal(model.faces[:, 16:, :, :3], 0)
  np.testing.assert_allclose(model.faces[0, ..., 3:], first, atol=1.01 / 255)


def test_pads_grow_boxes(media):
  model = Painter()
  dub(**media, checkpoint=model, length='video', batch_size=20, pads=(1, 2, 3, 4))
  grown = (BOX[0] - 3, BOX[1] - 1, BOX[2] + 4, BOX[3] + 2)
  np.testing.assert_allclose(
    model.faces[0, ..., 3:], crop(next(read_frames(media['face'])), grown, 32) / 255, atol=1.01 / 255
  )


@pytest.mark.parametrize('length', ['audio', 'shortest', 'video'])  # of its own it has none
def test_a_portrait_speaks_through_the_detector(tmp_path, length):
  drawn = draw_clip(3, 'test', 0, 0, 0.2)
  cv2.imwrite(str(tmp_path / 'portrait.png'), next(drawn.scene())[..., ::-1])
  speech = write_speech(tmp_path / 'speech.wav', 0.4, 0.4)
  dub(tmp_path / 'portrait.png', speech, tmp_path / 'out.mp4', Painter(), detector='cascade', length=length)
  info = probe(tmp_path / 'out.mp4')
  assert (info.rate, info.frames) == (25, 20)
  left, top, right, bottom = drawn.boxes[0]
  x, y = round((left + right) / 2), round(top + 0.73 * (bottom - top))
  mouths = [frame[y - 3 : y + 3, x - 5 : x + 5].mean() for frame in read_frames(tmp_path / 'out.mp4')]
  assert mouths[-1] > mouths[0] + 100


def test_a_video_without_a_face_is_bad_input(media, tmp_path):
  del media['boxes']
  before = sorted(tmp_path.iterdir())
  with pytest.raises(UserError, match='no face'):
    dub(**media, checkpoint=Painter(), detector='cascade')
  assert sorted(tmp_path.iterdir()) == before


def test_a_generator_that_fails_leaves_nothing(media, tmp_path):
  model = Painter()
  model_calls = itertools.count()

  def fails(faces, mels):
    if next(model_calls) == 1:
      raise KeyboardInterrupt
    return model(faces, mels)

  fails.config = model.config
  before = sorted(tmp_path.iterdir())
  with pytest.raises(KeyboardInterrupt):
    dub(**media, checkpoint=fails, batch_size=8)
  assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
  ('boxes', 'problem'),
  [
    ('[[1, 2, 3', 'not a JSON list'),
    ('{"a": 1}', 'not a JSON list'),
    ('[[1, 2, 3]]', 'not a JSON list'),
    ('[null, null]', 'at least one frame'),
    ('[]', 'not a JSON list'),
    ('[[10, 10, 10, 40]]', 'frame 0 is 0 x 30 pixels'),
    ('[null, [0, 0, Infinity, 40]]', 'not a JSON list'),
    ('[[10, NaN, 60, 60]]', 'not a JSON list'),
    ('[[[]]]', 'not a JSON list'),
    ('[[0, 0, 1e7, 1e7]]', 'give other --boxes or --pads'),
    ('[' * 100_000, 'is not a JSON list'),
  ],
)
def test_boxes_that_are_none(media, boxes, problem):
  media['boxes'].write_text(boxes)
  with pytest.raises(UserError, match=problem):
    dub(**media, checkpoint=Painter())


@pytest.mark.parametrize(
  'options',
  [
    {'length': 'long'},
    {'pads': (1, 2)},
    {'batch_size': 0},
    {'detector': 'eyes', 'boxes': None},
    {'max_pixels': 0},
    {'max_minutes': float('nan')},
    {'codec': 'hevc', 'crf': 52},
  ],
)
def test_options_that_are_none(media, options):
  with pytest.raises(UserError, match='must be'):
    dub(**(media | options), checkpoint=Painter())


def test_what_is_no_file_is_not_replaced(media, tmp_path):
  os.mkfifo(tmp_path / 'pipe.mp4')
  for option in ('output', 'preview', 'save_boxes'):
    for place, problem in ((tmp_path / 'pipe.mp4', 'no regular file'), (tmp_path, 'is a directory|must end in')):
      with pytest.raises(UserError, match=problem):
        dub(**(media | {option: place}), checkpoint=Painter())
  assert (tmp_path / 'pipe.mp4').is_fifo() and not media['output'].exists()


def test_the_output_may_not_be_an_input(media):
  media['output'] = media['face']
  with pytest.raises(UserError, match='one of the inputs'):
    dub(**media, checkpoint=Painter())


def test_a_file_with_a_likely_temporary_name_survives(media, tmp_path):
  face = tmp_path / 'out.part.mp4'
  shutil.copy(media['face'], face)
  dub(**(media | {'face': face, 'output': tmp_path / 'out.mp4'}), checkpoint=Painter())
  assert face.read_bytes() == media['face'].read_bytes()
  assert not [path for path in tmp_path.iterdir() if path.name.startswith('.')]


def test_pads_that_swallow_the_box(media):
  with pytest.raises(UserError, match='give other --boxes or --pads'):
    dub(**(media | {'pads': (-60, -60, 0, 0)}), checkpoint=Painter())
