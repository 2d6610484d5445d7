"""Parts: of the film, of the speech, and of the dub itself."""

import json
from fractions import Fraction

import numpy as np
import pytest
from painter import MOUTH, Painter, write_boxes, write_clip, write_faces, write_speech

from lpips_jax.core.errors import UserError
from lpips_jax.dubbing import Dubber, Options, dub
from lpips_jax.media.pictures import write_png
from lpips_jax.media.speech import load_timed_speech
from lpips_jax.media.video_reader import VideoInfo, probe, read_frames, read_timed
from lpips_jax.media.video_writer import write_video


def pictures(path):
  return np.stack(list(read_frames(path)))


@pytest.mark.parametrize(('begin', 'frames'), [(0.0, 10), (0.2, 10), (0.48, 10), (1.0, 15), (1.44, 4)])
def test_a_part_of_the_dub_is_the_same_as_in_the_whole(media, tmp_path, begin, frames):
  """Its frames are those of the whole dub, before the encoder, on the way there and on the way back."""
  end = begin + frames / 25
  dub(**media, checkpoint=Painter(), codec='h264', crf=0, silence='closed')
  part = tmp_path / 'part.mp4'
  dub(**(media | {'output': part}), checkpoint=Painter(), only=(begin, end), crf=0, silence='closed')
  first = round(begin * 25)
  np.testing.assert_array_equal(pictures(part), pictures(media['output'])[first : first + frames])
  assert [time for time, _ in read_timed(part)] == [Fraction(k, 25) for k in range(frames)]


def test_boxes_of_a_part_are_those_of_the_whole(tmp_path):
  """Its last frames have them, too, although theirs depend on the frames that follow."""
  face, speech = write_faces(tmp_path / 'face.mp4', [3], 30), write_speech(tmp_path / 'speech.wav', 0.0, 1.2)
  dubber = Dubber(Painter(), progress=False)
  whole = [picture.rgb for picture in dubber.stream(face, speech, Options(detector='cascade'))]
  part = [picture.rgb for picture in dubber.stream(face, speech, Options(detector='cascade', only=(0.2, 0.52)))]
  np.testing.assert_array_equal(part, whole[5:13])


def test_the_sound_of_a_part_begins_with_it(media, tmp_path):
  """Speech that starts after 0.8 s starts after 0.3 s in a part from 0.5 s on."""
  dub(**media, checkpoint=Painter(), only=(0.5, 1.5))
  start, speech = load_timed_speech(media['output'])
  loud = start + Fraction(int(np.flatnonzero(np.abs(speech) > 0.1)[0]), 16_000)
  assert abs(loud - Fraction(3, 10)) < 0.03
  assert abs(start + Fraction(len(speech), 16_000) - 1) < 0.08  # a packet of AAC lasts 64 ms


@pytest.mark.parametrize('suffix', ['.mp4', '.mkv', '.webm'])
@pytest.mark.parametrize(('begin', 'end', 'numbers'), [(0.4, 0.8, range(10, 20)), (2.0, 9.0, range(50, 60))])
def test_a_part_of_the_film(tmp_path, suffix, begin, end, numbers):
  """Later parts are sought. Frames tell their number by their brightness, which the encoder changes by little."""
  face, boxes = tmp_path / f'face{suffix}', write_boxes(tmp_path / 'boxes.json', 60)
  with write_video(face, VideoInfo(120, 96, Fraction(25))) as write:
    for k in range(60):
      write(np.full((96, 120, 3), 60 + 3 * k, np.uint8))
  speech = write_speech(tmp_path / 'speech.wav', 0.1, 4.0)
  dub(face, speech, tmp_path / 'out.mp4', Painter(), boxes=boxes, length='video', face_part=(begin, end))
  shades = pictures(tmp_path / 'out.mp4')[:, 2, 2].mean(1)
  np.testing.assert_allclose(shades, [60 + 3 * number for number in numbers], atol=1.4)


def test_a_part_of_the_film_plays_there_and_back(tmp_path):
  face, boxes = write_clip(tmp_path / 'face.mp4', 40), write_boxes(tmp_path / 'boxes.json', 40)
  speech = write_speech(tmp_path / 'speech.wav', 0.1, 0.7)
  dub(face, speech, tmp_path / 'out.mp4', Painter(), boxes=boxes, face_part=(1.2, 1.4))
  shades = pictures(tmp_path / 'out.mp4')[:, 2, 2].mean(1)
  order = [30, 31, 32, 33, 34, 33, 32, 31]
  np.testing.assert_allclose(shades, [60 + 4 * number for number in (order * 3)[:20]], atol=3)


def test_a_part_of_the_speech(media):
  """The part from 0.6 s to 1.4 s is cut out of silence until 0.8 s and speech until 1.6 s."""
  dub(**media, checkpoint=Painter(), audio_part=(0.6, 1.4))
  frames = pictures(media['output'])
  assert len(frames) == 20
  mouths = frames[:, MOUTH[0], MOUTH[1]].mean((1, 2, 3))
  assert (mouths[:4] < 80).all() and (mouths[7:] > 200).all()
  assert probe(media['output']).frames == 20


@pytest.mark.parametrize(
  ('options', 'line'),
  [
    ({'face_part': (7, 9)}, 'no frame from 7 s on'),
    ({'audio_part': (1.6, 2)}, 'ends before 1.6 s, where audio_part begins'),
    ({'only': (1.6, 3)}, 'ends after 1.6 s, before `only` begins'),
    ({'only': (0.92, 1.2), 'length': 'shortest'}, 'ends before 0.92 s, where `only` begins'),
    ({'only': (1.2, 1.2)}, 'only must be two numbers'),
    ({'face_part': (-1, 2)}, 'face_part must be two numbers'),
    ({'audio_part': (0, float('nan'))}, 'audio_part must be two numbers'),
    ({'audio_part': (1, 2, 3)}, 'audio_part must be two numbers'),
  ],
)
def test_parts_that_are_not_there(media, tmp_path, options, line):
  before = set(tmp_path.iterdir())
  with pytest.raises(UserError, match=line):
    dub(**media, checkpoint=Painter(), **options)
  assert set(tmp_path.iterdir()) == before


def test_a_face_is_looked_for_at_a_time_of_the_film(tmp_path):
  """Not of the part; the part begins with the fifth frame, in which the second person has their face."""
  face, speech = write_faces(tmp_path / 'face.mp4', [3, 5], 12), write_speech(tmp_path / 'speech.wav', 0.0, 0.3)
  options = {'detector': 'cascade', 'face_at': (384, 128, 0.28), 'face_part': (0.2, 0.48)}
  saved = tmp_path / 'boxes.json'
  dub(face, speech, tmp_path / 'out.mp4', Painter(), save_boxes=saved, **options)
  boxes = json.loads(saved.read_text())
  assert len(boxes) == 7 and all(box[0] > 256 for box in boxes)
  with pytest.raises(UserError, match=r'looks at 0.1 s, before face_part begins'):
    dub(face, speech, tmp_path / 'out.mp4', Painter(), **(options | {'face_at': (384, 128, 0.1)}))


def test_a_still_image_is_used_whole(media, tmp_path):
  """It has no part that could be left out."""
  write_png(tmp_path / 'face.png', np.full((96, 120, 3), 90, np.uint8))
  still = media | {'face': tmp_path / 'face.png', 'boxes': write_boxes(tmp_path / 'one.json', 1)}
  dub(**still, checkpoint=Painter(), face_part=(5, 6))
  assert probe(media['output']).frames == 40
