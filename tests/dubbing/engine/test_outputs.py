"""The outputs of a dub: its video, boxes and profile, and nothing half-written."""

import contextlib
import itertools
import json
import os
import shutil

import numpy as np
import pytest
from painter import Painter, write_faces, write_speech

from lpips_jax.core.errors import UserError
from lpips_jax.dubbing import dub, engine
from lpips_jax.dubbing.engine import Dubber
from lpips_jax.dubbing.options import Options
from lpips_jax.dubbing.stages import profile_table
from lpips_jax.media.video_reader import probe, read_frames


def test_saved_boxes_make_the_same_dub(tmp_path):
  face, speech = write_faces(tmp_path / 'face.mp4', [3]), write_speech(tmp_path / 'speech.wav', 0.4, 0.8)
  saved, first, second = tmp_path / 'boxes.json', tmp_path / 'first.mp4', tmp_path / 'second.mp4'
  dub(face, speech, first, Painter(), detector='cascade', save_boxes=saved)
  boxes = json.loads(saved.read_text())
  assert len(boxes) == 20 and all(len(box) == 4 for box in boxes)
  dub(face, speech, second, Painter(), boxes=saved)
  for a, b in zip(read_frames(first), read_frames(second), strict=True):
    np.testing.assert_array_equal(a, b)


def test_outputs_must_differ(media, tmp_path):
  with pytest.raises(UserError, match='must be different'):
    dub(**media, checkpoint=Painter(), preview=media['output'])
  with pytest.raises(UserError, match='does not exist'):
    dub(**media, checkpoint=Painter(), save_boxes=tmp_path / 'nowhere' / 'boxes.json')


def test_pipes_and_directories_are_not_replaced(media, tmp_path):
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


def test_no_file_that_is_read_is_replaced(media, tmp_path):
  boxes, text = media['boxes'], tmp_path / 'text.mp4'
  text.write_text('Good morning.')
  before = boxes.read_bytes()
  with pytest.raises(UserError, match=r'boxes.json is one of the inputs'):
    dub(**media, checkpoint=Painter(), save_boxes=boxes)
  with pytest.raises(UserError, match=r'text.mp4 is one of the inputs'):
    dub(**(media | {'output': text}), checkpoint=Painter(), other_inputs=[text])
  with pytest.raises(UserError, match='must be different files'):
    dub(**media, checkpoint=Painter(), save_boxes=tmp_path / 'a.srt', other_outputs=[tmp_path / 'a.srt'])
  assert boxes.read_bytes() == before and text.read_text() == 'Good morning.'


def test_a_file_with_a_likely_temporary_name_survives(media, tmp_path):
  face = tmp_path / 'out.part.mp4'
  shutil.copy(media['face'], face)
  dub(**(media | {'face': face, 'output': tmp_path / 'out.mp4'}), checkpoint=Painter())
  assert face.read_bytes() == media['face'].read_bytes()
  assert not [path for path in tmp_path.iterdir() if path.name.startswith('.')]


def test_a_link_is_written_through(media, tmp_path):
  (tmp_path / 'elsewhere').mkdir()
  media['output'].symlink_to(tmp_path / 'elsewhere' / 'real.mp4')
  for _ in range(2):  # the first makes what the link points to, the second replaces it
    dub(**media, checkpoint=Painter())
    assert media['output'].is_symlink() and probe(tmp_path / 'elsewhere' / 'real.mp4').frames == 40
  assert len(list((tmp_path / 'elsewhere').iterdir())) == 1
  media['output'].unlink()
  media['output'].symlink_to(tmp_path / 'nowhere' / 'real.mp4')
  with pytest.raises(UserError, match='nowhere does not exist'):
    dub(**media, checkpoint=Painter())


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


def test_a_preview_that_fails_leaves_no_dub(media, tmp_path, monkeypatch):
  before = sorted(tmp_path.iterdir())

  @contextlib.contextmanager
  def full(path, info, *heard):
    yield lambda *_: None
    raise UserError('no space left')

  monkeypatch.setattr(engine, 'write_preview', full)
  with pytest.raises(UserError, match='no space left'):
    dub(**media, checkpoint=Painter(), preview=tmp_path / 'preview.mp4')
  assert sorted(tmp_path.iterdir()) == before


def test_the_profile_names_every_stage(media):
  dubber = Dubber(Painter(), progress=False)
  dubber.dub(media['face'], media['audio'], media['output'], Options(boxes=media['boxes']))
  table = profile_table(dubber.times, dubber.seconds)
  stages = ['look: decode', 'look: find', 'decode', 'find', 'generate', 'composite', 'encode']
  assert [line.split('  ')[0] for line in table.splitlines()] == ['stage', *stages, 'all']
  assert dubber.frames == 40


def test_the_times_of_all_dubs_are_added_up(media):
  dubber = Dubber(Painter(), progress=False)
  for _ in range(2):
    dubber.dub(media['face'], media['audio'], media['output'], Options(boxes=media['boxes']))
  assert dubber.all_times['encode'].items == 80 and dubber.all_times['encode'].busy > dubber.times['encode'].busy
  assert dubber.all_seconds > dubber.seconds
