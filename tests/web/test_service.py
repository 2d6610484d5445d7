"""The service behind the clicks, without Gradio: a dub with all that belongs to it, or one line."""

import dataclasses
import json
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
from painter import Painter, write_faces, write_speech

from lpips_jax.core.errors import Cancelled, UserError
from lpips_jax.media.speech import load_speech
from lpips_jax.media.video_reader import probe, read_frames
from lpips_jax.web.limits import Limits
from lpips_jax.web.service import Order, Service
from lpips_jax.web.storage import Storage


@pytest.fixture(scope='module')
def films(tmp_path_factory):
  directory = tmp_path_factory.mktemp('films')
  write_faces(directory / 'one.mp4', (9,), n=75)
  write_faces(directory / 'two.mp4', (9, 10), n=10)
  return directory


@pytest.fixture
def service(tmp_path, monkeypatch):
  monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
  with Storage() as storage:
    service = Service(Painter(), storage, Limits(max_minutes=0.1, max_characters=40), {'detector': 'cascade'})
    yield service
    service.close()


@pytest.fixture
def order(films, tmp_path):
  return Order(films / 'two.mp4', write_speech(tmp_path / 'speech.wav', 0.1, 0.3), consent=True)


def changed(dubbed: Path, source: Path) -> tuple[bool, bool]:
  """Returns whether the left and the right half of a film differ from its source somewhere around the mouth."""
  pairs = list(zip(read_frames(dubbed), read_frames(source), strict=True))
  left, right = zip(*(np.split(abs(a.astype(int) - b)[128:], 2, axis=1) for a, b in pairs), strict=True)
  return np.max(left) > 100, np.max(right) > 100


def test_a_dub_comes_with_its_boxes_and_its_command(service, order):
  made = service.order(order).result(60)
  assert probe(made.video).frames == 10 and made.video.parent.parent == service.storage.results
  assert len(json.loads(made.boxes.read_text())) == 10
  assert '--face=two.mp4 --audio=speech.wav --output=dubbed.mp4' in made.command
  assert made.command.startswith('python infer.py') and made.command.endswith('--detector=cascade --label=corner')
  assert not made.still and made.only is None and made.subtitles == ()


def test_the_face_that_was_clicked_is_dubbed(service, order, films):
  for k, middle in enumerate(service.look(order.face).middles()):
    made = service.order(dataclasses.replace(order, face_at=middle, label=False)).result(60)
    assert changed(made.video, films / 'two.mp4') == (k == 0, k == 1)
  made = service.order(dataclasses.replace(order, everybody=True, label=False)).result(60)
  assert changed(made.video, films / 'two.mp4') == (True, True)
  assert ' --all_faces ' in f'{made.command} '


def test_whoever_speaks_is_dubbed(service, order):
  """Here nobody can be heard: the most prominent person is dubbed, and the command says what was asked for."""
  made = service.order(dataclasses.replace(order, speaking=True)).result(60)
  assert '--speaker=auto' in made.command and any(json.loads(made.boxes.read_text()))


def test_a_preview_is_two_seconds_of_the_dub_from_a_second_on(service, order, films, tmp_path):
  order = dataclasses.replace(order, face=films / 'one.mp4', speech=write_speech(tmp_path / 'long.wav', 0.5, 2.5))
  whole = service.order(order).result(60)
  preview = service.order(dataclasses.replace(order, only=(0.4, 2.4))).result(60)
  assert preview.only == (0.4, 2.4) and '--only=0.4,2.4' in preview.command
  frames = list(read_frames(whole.video))[10:60]
  shown = list(read_frames(preview.video))
  assert len(shown) == 50
  assert np.mean([abs(a.astype(int) - b).mean() for a, b in zip(shown, frames, strict=True)]) < 2
  with pytest.raises(UserError, match='there is nothing to make at 7 s'):
    service.order(dataclasses.replace(order, only=(7.0, 9.0))).result(60)


def test_a_face_is_chosen_in_the_part_that_is_used(service, order, films):
  middle = service.look(films / 'one.mp4', 2.0).middles()[0]
  order = dataclasses.replace(order, face=films / 'one.mp4', face_at=middle, part=(1.5, 3.0))
  made = service.order(order).result(60)
  assert f'--face_at={middle[0]:g},{middle[1]:g},2 --face_part=1.5,3' in made.command
  with pytest.raises(UserError, match='chosen at 2 s, which is trimmed away'):
    service.order(dataclasses.replace(order, part=(0.0, 1.0)))


def test_a_text_is_spoken_and_has_subtitles(service, order):
  made = service.order(dataclasses.replace(order, speech=None, text="It's me.")).result(60)
  assert [file.name for file in made.subtitles] == ['dubbed.vtt', 'dubbed.srt']
  assert "It's me." in made.subtitles[1].read_text()
  seconds = len(load_speech(made.video.with_name('speech.wav'))) / 16000
  assert abs(probe(made.video).frames / 25 - seconds) < 0.1
  assert """--text='It'"'"'s me.' --output""" in made.command and 'synthetic_voice' not in made.command


@pytest.mark.parametrize(
  ('change', 'line'),
  [
    ({'face': None}, 'there is no face yet'),
    ({'speech': None}, 'there is no speech yet'),
    ({'speech': None, 'text': ' \n'}, 'there is no speech yet'),
    ({'consent': False}, 'consent=True says that the person'),
    ({'speech': None, 'text': 'x' * 41}, '41 characters, of at most 40'),
    ({'speech': None, 'text': 'hello', 'voice': '/tmp/any.onnx'}, 'voice must be one of'),
    ({'face_at': (1, 2)}, 'face_at must be three numbers'),
    ({'part': (2, 1)}, 'face_part must be two numbers'),
    ({'face': Path('/nowhere/me.mp4')}, 'does not exist any more'),
  ],
)
def test_orders_that_cannot_be_made_are_refused_at_once(service, order, change, line):
  with pytest.raises(UserError, match=line):
    service.order(dataclasses.replace(order, **change))


def test_refused_uploads_are_deleted(service, order, tmp_path):
  def upload(name: str, content: bytes) -> Path:
    path = service.storage.uploads / name / 'me.mp4'
    path.parent.mkdir()
    path.write_bytes(content)
    return path

  text, long = upload('a', b'no film'), upload('b', write_speech(tmp_path / 'long.wav', 0, 7).read_bytes())
  with pytest.raises(UserError, match='not a media file'):
    service.look(text)
  with pytest.raises(UserError, match=r'longer than 0\.1 minutes'):
    service.order(dataclasses.replace(order, speech=long))
  assert not list(service.storage.uploads.iterdir())


def test_a_stopped_or_failed_dub_leaves_nothing_behind(service, order, monkeypatch):
  begun = threading.Event()

  def dub(*files, report, cancel):
    begun.set()
    cancel.wait(30)
    raise Cancelled

  monkeypatch.setattr(service._dubber, 'dub', dub)
  job = service.order(order)
  assert begun.wait(30)
  job.cancel()
  with pytest.raises(Cancelled):
    job.result(30)
  assert not list(service.storage.results.iterdir())
