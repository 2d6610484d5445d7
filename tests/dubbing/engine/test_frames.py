"""The frames of a dub: how many there are, which faces are dubbed in them, and how the mouths move."""

import json
from fractions import Fraction

import cv2
import numpy as np
import pytest
from painter import MOUTH, Painter, write_boxes, write_clip, write_faces, write_speech

from data_pipeline.corpora.talking_faces.clips import draw_clip
from lpips_jax.core.errors import UserError
from lpips_jax.dubbing import dub
from lpips_jax.media.speech import load_speech
from lpips_jax.media.video_reader import probe, read_frames


@pytest.mark.parametrize(('length', 'frames'), [('audio', 40), ('video', 20), ('shortest', 20)])
def test_a_dub_is_as_long_as_the_audio_the_video_or_the_shorter(media, length, frames):
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


def test_played_backwards_each_frame_keeps_its_own_boxes(media, tmp_path):
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
  write_boxes(media['boxes'], 12, without=(3, 4))  # and no boxes for the frames after the twelfth
  model = Painter()
  dub(**media, checkpoint=model, length='video', batch_size=5)
  changed = [abs(frame[MOUTH].mean() - (60 + 4 * k)) > 20 for k, frame in enumerate(read_frames(media['output']))]
  assert changed == [k < 12 and k not in (3, 4) for k in range(20)]
  assert set(model.shapes) == {((5, 32, 32, 6), (5, 80, 16))} and len(model.shapes) == 3


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


def test_all_faces_are_dubbed_or_one_of_them(tmp_path):
  face, speech = write_faces(tmp_path / 'face.mp4', [3, 4], 10), write_speech(tmp_path / 'speech.wav', 0, 0.4)
  source = list(read_frames(face))

  def changed(**options):
    dub(face, speech, tmp_path / 'out.mp4', Painter(), detector='cascade', **options)
    frames = list(read_frames(tmp_path / 'out.mp4'))
    off = np.mean([abs(a.astype(int) - b) for a, b in zip(source, frames, strict=True)], axis=(0, 3))
    return bool((off[:, :256] > 40).sum() > 50), bool((off[:, 256:] > 40).sum() > 50)

  assert changed(all_faces=True) == (True, True)
  assert changed(face_index=0) == (True, False) and changed(face_index=1) == (False, True)
  assert changed(face_at=(256 + 128, 128, 0.1)) == (False, True)
  with pytest.raises(UserError, match='no face number 2 from the left, 0 being the first'):
    changed(face_index=2)
  with pytest.raises(UserError, match='there is no face at 2,3'):
    changed(face_at=(2, 3, 0))
  with pytest.raises(UserError, match='ends before 9 s'):
    changed(face_at=(2, 3, 9))
