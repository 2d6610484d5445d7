"""Speakers: in a film of two people who take turns, the one who has the turn is dubbed."""

from fractions import Fraction

import numpy as np
import pytest
from videos import beside, write_mp4

from data_pipeline.corpora.talking_faces.clips import draw_clip
from data_pipeline.corpora.talking_faces.face import SCENE_SIZE
from lpips_jax.dubbing.selection import FollowOne, follow
from lpips_jax.dubbing.speakers import Speaking, expert_for, who_speaks
from lpips_jax.faces import detect
from lpips_jax.media.playback import play
from lpips_jax.media.video_reader import probe

SIDE, TURN, TURNS = 160, 60, 3  # pixels, frames, turns


@pytest.fixture(scope='module')
def cast():
  clips = [draw_clip(12, 'test', k, 0, TURN * TURNS / 25) for k in range(2)]
  boxes = [clip.boxes.mean(0) * SIDE / SCENE_SIZE + [SIDE * k, 0] * 2 for k, clip in enumerate(clips)]
  return [(list(clip.scene(SIDE)), clip.audio / np.float32(32768)) for clip in clips], np.array(boxes)


@pytest.fixture
def find(cast, monkeypatch):
  monkeypatch.setattr(detect, 'in_planes', lambda find, planes: find(planes))
  return lambda _: np.column_stack([cast[1], [0.9, 0.9]])


def film_in_turns(path, cast, rate=Fraction(25)):
  """Writes two people who are heard in turns, and stand still else; returns the one whose turn it is, of each frame."""
  turns = np.repeat(np.arange(TURNS) % 2, TURN)
  sound = np.concatenate([cast[who][1][640 * k : 640 * (k + 1)] for k, who in enumerate(turns)])
  scenes = [[frames[k if turn == who else 0] for k, turn in enumerate(turns)] for who, (frames, _) in enumerate(cast)]
  write_mp4(path, beside(*scenes), sound, rate)
  return turns


def dubbed(path, find, choose):
  info = probe(path)
  return [[int(box[0] > SIDE) for box in boxes] for _, boxes in follow(play(path, info), find, info, choose)]


def test_who_has_the_turn_is_dubbed(cast, find, tmp_path):
  turns = film_in_turns(tmp_path / 'film.mp4', cast[0])
  info = probe(tmp_path / 'film.mp4')
  choose = who_speaks(play(tmp_path / 'film.mp4', info), find, info, tmp_path / 'film.mp4', None)
  found = dubbed(tmp_path / 'film.mp4', find, choose)
  assert isinstance(choose, Speaking) and all(len(faces) == 1 for faces in found)
  assert np.mean(np.array(found)[:, 0] == turns) > 0.85  # 0.67 if it were always the first


def test_a_film_without_speech_or_with_one_face_is_dubbed_as_ever(cast, find, tmp_path, caplog):
  frames, sound = cast[0][0]
  write_mp4(tmp_path / 'silent.mp4', beside(frames[:15], frames[:15]), None)
  write_mp4(tmp_path / 'quiet.mp4', beside(frames[:15], frames[:15]), np.zeros(9600))
  write_mp4(tmp_path / 'one.mp4', frames[:15], sound[:9600])
  for name, reason in (('silent', 'no sound track'), ('quiet', 'nothing is heard'), ('one', 'never shows two')):
    path = tmp_path / f'{name}.mp4'
    info = probe(path)
    one = (lambda planes: find(planes)[:1]) if name == 'one' else find
    assert isinstance(who_speaks(play(path, info), one, info, path, None), FollowOne)
    assert reason in caplog.text


def test_a_generator_without_an_expert_beside_it_has_none():
  assert expert_for(lambda faces, speech: faces, None) is None
