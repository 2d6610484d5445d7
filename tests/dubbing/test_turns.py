"""Turns: a transcript is checked, its sound is mixed, and everybody's mouth moves in their own turns."""

import json
import wave
from fractions import Fraction

import numpy as np
import pytest
from painter import Painter, write_faces

from lpips_jax.core.errors import UserError
from lpips_jax.dubbing import dub
from lpips_jax.dubbing.boxes import read_boxes
from lpips_jax.dubbing.turns import FADE_SECONDS, MIX_RATE, Turn, mixed, read_turns
from lpips_jax.faces.cropping import crop
from lpips_jax.media.speech import load_speech
from lpips_jax.media.video_reader import VideoInfo, probe, read_frames

INFO = VideoInfo(64, 64, Fraction(25), frames=50)


def write_tone(path, seconds, value=0.5):
  """Writes a sound that is `value` throughout, but for its sign: loud, and easily recognised."""
  samples = value * np.sign(np.sin(np.arange(round(16000 * seconds)) / 5))
  with wave.open(str(path), 'wb') as file:
    file.setparams((1, 2, 16000, 0, 'NONE', ''))
    file.writeframes(np.round(32767 * samples).astype('<i2').tobytes())
  return str(path)


def turn(**changes):
  return {'begin': 0, 'end': 1, 'face': 0, 'audio': 'a.wav'} | changes


@pytest.mark.parametrize(
  ('listed', 'problem'),
  [
    ({'begin': 0}, 'is not a JSON list'),
    ([], 'is not a JSON list'),
    ([turn(), 'hello'], 'turn 2 is no turn'),
    ([turn(who=3)], 'turn 1 is no turn'),
    ([turn(end=0)], 'turn 1 needs begin and end'),
    ([turn(begin=True)], 'turn 1 needs begin and end'),
    ([turn(end=float('inf'))], 'turn 1 needs begin and end'),
    ([turn(face=-1)], 'turn 1 needs face'),
    ([turn(face=[1, 2])], 'turn 1 needs face'),
    ([turn(audio=None)], 'turn 1 needs either audio'),
    ([turn(text='hello')], 'turn 1 needs either audio'),
    ([turn(audio=5)], 'turn 1 needs either audio'),
    ([turn(voice='builtin')], 'turn 1 has a voice but no text'),
    ([turn(), turn(face=1), turn(begin=0.5, end=2)], 'turns 1 and 3 overlap'),
  ],
)
def test_a_bad_transcript_is_refused_in_one_line(tmp_path, listed, problem):
  path = tmp_path / 'turns.json'
  path.write_text(json.dumps(listed))
  with pytest.raises(UserError, match=problem) as caught:
    read_turns(path)
  assert '\n' not in str(caught.value) and caught.value.as_flags().startswith('--turns: ')
  path.write_text('[')
  with pytest.raises(UserError, match='is not a JSON list'):
    read_turns(path)


def test_turns_are_read(tmp_path):
  path = tmp_path / 'turns.json'
  path.write_text(json.dumps([turn(face=[3, 4, 0.5]), turn(audio=None, text='hello', voice='x')]))
  assert read_turns(path) == [Turn(0, 1, (3, 4, 0.5), 'a.wav'), Turn(0, 1, 0, text='hello', voice='x')]


def test_turns_that_never_end_are_refused():
  with (
    pytest.raises(UserError, match='turn 2 ends after 240 minutes'),
    mixed([Turn(0, 1, 0), Turn(1, 1e9, 0)], INFO, 240),
  ):
    pass


def test_everybody_has_a_track_and_all_are_in_the_mix(tmp_path, caplog):
  loud, quiet = write_tone(tmp_path / 'loud.wav', 1, 0.5), write_tone(tmp_path / 'quiet.wav', 0.5, 0.25)
  turns = [Turn(0.25, 0.75, 1, loud), Turn(0.5, 1.5, 0, quiet), Turn(2.5, 3, 1, quiet)]
  with mixed(turns, INFO) as interview:
    heard = load_speech(interview.mix)
    with wave.open(str(interview.mix)) as file:
      assert (file.getframerate(), file.getnframes()) == (MIX_RATE, 3 * MIX_RATE)
  assert not interview.mix.exists()
  assert interview.faces == [1, 0] and interview.spans == [[(0.25, 0.75), (2.5, 3)], [(0.5, 1.5)]]

  def levels(track):
    return [np.abs(track[round(16000 * at) - 200 :][:400]).mean() for at in (0.1, 0.4, 0.6, 0.9, 1.4, 2.7)]

  np.testing.assert_allclose(levels(interview.tracks[0]), [0, 0.5, 0.5, 0, 0, 0.25], atol=0.02)
  np.testing.assert_allclose(levels(interview.tracks[1]), [0, 0, 0.25, 0.25, 0, 0], atol=0.02)
  np.testing.assert_allclose(levels(heard)[:2], [0, 0.5], atol=0.05)
  fade = interview.tracks[0][12000 - round(16000 * FADE_SECONDS) : 12000]
  assert abs(fade[0]) > 0.4 and abs(fade[-1]) < 0.05  # the sound is longer than its turn
  assert 'turn 1 is 0.50 s too long' in caplog.text and 'turn 2' not in caplog.text


def test_sound_that_cannot_be_read_is_named_by_its_turn(tmp_path):
  (tmp_path / 'a.wav').write_text('no sound')
  good = write_tone(tmp_path / 'b.wav', 0.1)
  with (
    pytest.raises(UserError, match='turn 2: '),
    mixed([Turn(0, 1, 0, good), Turn(1, 2, 0, tmp_path / 'a.wav')], INFO),
  ):
    pass
  with (
    pytest.raises(UserError, match='turn 1 has a text'),
    mixed([Turn(0, 1, 0, text='hello')], INFO),
  ):
    pass


def test_the_right_mouths_move_at_the_right_times(tmp_path):
  film, boxes = write_faces(tmp_path / 'film.mp4', [3, 4], n=30), tmp_path / 'boxes.json'
  tone = write_tone(tmp_path / 'tone.wav', 2)
  turns = tmp_path / 'turns.json'
  turns.write_text(
    json.dumps([turn(end=0.4, face=1, audio=tone), turn(begin=0.6, end=1.0, face=[128, 140, 0.1], audio=tone)])
  )
  output = tmp_path / 'out.mp4'
  how = {'detector': 'cascade', 'turns': turns}
  dub(film, None, output, Painter(), save_boxes=boxes, **how)
  assert probe(output).frames == 30 and abs(len(load_speech(output)) - 30 * 640) < 2000
  moving = np.zeros((30, 2), bool)
  for frame, (picture, found) in enumerate(zip(read_frames(output), read_boxes(boxes), strict=True)):
    for box in found:
      mouth = crop(picture, box, 32)[21:26, 12:20]
      moving[frame, int(box[0] > 256)] = mouth.mean() > 150
  times = np.arange(30) / 25
  for person, (begin, end) in enumerate([(0.6, 1.0), (0, 0.4)]):
    inside, outside = (times > begin + 0.08) & (times < end - 0.08), (times < begin - 0.2) | (times > end + 0.12)
    assert moving[inside, person].all() and not moving[outside, person].any()
  with pytest.raises(UserError, match='give one of audio and turns'):
    dub(film, tone, output, Painter(), **how)
  turns.write_text(json.dumps([turn(face=5, audio=tone), turn(audio=tone)]))
  with pytest.raises(UserError, match='shows no face 5'):
    dub(film, None, output, Painter(), **how)


def test_phones_of_turns_are_those_of_the_film_where_all_of_a_person_are_told(tmp_path):
  tone = write_tone(tmp_path / 'tone.wav', 1)
  said = (('B', 0.25), ('', 0.75))
  turns = [Turn(2, 3, 0, tone, said=said), Turn(0.5, 1.0, 0, tone, said=said), Turn(0, 1, 1, tone)]
  with mixed(turns, INFO) as interview:
    assert interview.faces == [0, 1]
    assert interview.said == [[('', 0.5), ('B', 0.75), ('', 1.0), ('', 2), ('B', 2.25), ('', 2.75)], None]
