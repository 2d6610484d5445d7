"""What a dub leaves beside its video, what it refuses, and mouths that rest."""

import contextlib
import json
from fractions import Fraction

import cv2
import numpy as np
import pytest
from painter import MOUTH, Painter, write_speech

from data_pipeline.corpora.talking_faces.clips import draw_clip
from lpips_jax.core.errors import UserError
from lpips_jax.dubbing import dub, engine
from lpips_jax.dubbing.engine import Dubber
from lpips_jax.dubbing.options import Options
from lpips_jax.dubbing.stages import profile
from lpips_jax.media import video_writer
from lpips_jax.media.speech import load_speech
from lpips_jax.media.video_reader import VideoInfo, probe, read_frames
from lpips_jax.media.video_writer import write_video


def write_faces(path, speakers, n=20, side=256):
  """Drawn people beside one another, for the cascade."""
  scenes = [draw_clip(speaker, 'test', 0, 0, n / 25).scene(side) for speaker in speakers]
  with write_video(path, VideoInfo(side * len(speakers), side, Fraction(25))) as write:
    for frames in zip(*scenes, strict=True):
      write(np.concatenate(frames, axis=1))
  return path


def test_saved_boxes_make_the_same_dub(tmp_path):
  face, speech = write_faces(tmp_path / 'face.mp4', [3]), write_speech(tmp_path / 'speech.wav', 0.4, 0.8)
  saved, first, second = tmp_path / 'boxes.json', tmp_path / 'first.mp4', tmp_path / 'second.mp4'
  dub(face, speech, first, Painter(), detector='cascade', save_boxes=saved)
  boxes = json.loads(saved.read_text())
  assert len(boxes) == 20 and all(len(box) == 4 for box in boxes)
  dub(face, speech, second, Painter(), boxes=saved)
  for a, b in zip(read_frames(first), read_frames(second), strict=True):
    np.testing.assert_array_equal(a, b)


def test_all_faces_or_one_of_them(tmp_path):
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
  with pytest.raises(UserError, match=r'no face number 2 from the left \(0 is the first, 1 the last at any time\)'):
    changed(face_index=2)
  with pytest.raises(UserError, match='there is no face at 2,3'):
    changed(face_at=(2, 3, 0))
  with pytest.raises(UserError, match='ends before 9 s'):
    changed(face_at=(2, 3, 9))


def test_a_preview_shows_source_face_and_result(media, tmp_path):
  dub(**media, checkpoint=Painter(), preview=tmp_path / 'preview.mp4')
  info = probe(tmp_path / 'preview.mp4')
  assert (info.width, info.height, info.frames) == (450 + 360 + 450, 360, 40)
  np.testing.assert_array_equal(*(load_speech(path) for path in (media['output'], tmp_path / 'preview.mp4')))
  last = list(read_frames(tmp_path / 'preview.mp4'))[-1]
  rows, columns = (slice(round(3.75 * part.start) + 4, round(3.75 * part.stop) - 4) for part in MOUTH)
  source, result = last[rows, columns], last[rows, columns.start + 810 : columns.stop + 810]
  assert source.mean() < 150 and result.mean() > 230
  assert last[240:290, 450 + 130 : 450 + 240].mean() > 230  # the generated mouth


def test_a_preview_of_a_crowd(media):
  crowd = [[x, y, x + 8, y + 8] for x in range(0, 110, 5) for y in range(0, 80, 5)]
  media['boxes'].write_text(json.dumps([crowd]))
  dub(**media, checkpoint=Painter(), length='video', preview=media['output'].with_name('preview.mp4'))
  assert len(crowd) > 350 and probe(media['output']).frames == 20


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


def test_outputs_must_differ(media, tmp_path):
  with pytest.raises(UserError, match='must be different'):
    dub(**media, checkpoint=Painter(), preview=media['output'])
  with pytest.raises(UserError, match='does not exist'):
    dub(**media, checkpoint=Painter(), save_boxes=tmp_path / 'nowhere' / 'boxes.json')


def test_the_profile_names_every_stage(media):
  dubber = Dubber(Painter(), progress=False)
  dubber.dub(media['face'], media['audio'], media['output'], Options(boxes=media['boxes']))
  table = profile(dubber.times, dubber.seconds)
  stages = ['look: decode', 'look: find', 'decode', 'find', 'generate', 'composite', 'encode']
  assert [line.split('  ')[0] for line in table.splitlines()] == ['stage', *stages, 'all']
  assert dubber.frames == 40


def test_what_all_dubs_took_is_added_up(media):
  dubber = Dubber(Painter(), progress=False)
  for _ in range(2):
    dubber.dub(media['face'], media['audio'], media['output'], Options(boxes=media['boxes']))
  assert dubber.all_times['encode'].items == 80 and dubber.all_times['encode'].busy > dubber.times['encode'].busy
  assert dubber.all_seconds > dubber.seconds


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


def test_only_what_fails_in_writing_is_blamed_on_the_output(tmp_path, monkeypatch):
  info = VideoInfo(32, 32, Fraction(25))
  with pytest.raises(OSError, match='the source is gone'), write_video(tmp_path / 'v.mp4', info) as write:
    write(np.zeros((32, 32, 3), np.uint8))
    raise OSError('the source is gone')
  assert list(tmp_path.iterdir()) == []

  def full(*_):
    raise OSError(28, 'No space left on device')

  monkeypatch.setattr(video_writer._FrameWriter, 'write', full)
  with (
    pytest.raises(UserError, match=r'v\.mp4 cannot be written: No space left'),
    write_video(tmp_path / 'v.mp4', info) as write,
  ):
    write(np.zeros((32, 32, 3), np.uint8))
  assert list(tmp_path.iterdir()) == []


def test_limits(media):
  with pytest.raises(UserError, match='120 x 96 pixels large: reduce it, or raise max_pixels'):
    dub(**media, checkpoint=Painter(), max_pixels=10_000)
  with pytest.raises(UserError, match=r'longer than 0.02 minutes: cut it, or raise max_minutes'):
    dub(**media, checkpoint=Painter(), max_minutes=0.02)
  dub(**media, checkpoint=Painter(), max_pixels=120 * 96, max_minutes=1.6 / 60)


def test_sharpening_sharpens(media):
  edges = []
  for sharpen in (0.0, 2.0):
    dub(**media, checkpoint=Painter(), sharpen=sharpen, length='video', crf=2)
    grey = cv2.cvtColor(next(read_frames(media['output'])), cv2.COLOR_RGB2GRAY)
    edges.append(np.abs(np.diff(grey[50:84, 40:80].astype(float), axis=0)).max())
  assert edges[1] > edges[0] + 2


class Recorder(Painter):
  """Keeps the references that it sees."""

  def __call__(self, faces, mels):
    self.references = getattr(self, 'references', [])
    self.references += list(np.asarray(faces)[..., 3:])
    self.heard = [*getattr(self, 'heard', []), *np.asarray(mels)]
    return super().__call__(faces, mels)


def test_in_pauses_a_closed_mouth_is_the_reference(media):
  """0.8 s of silence, then speech: pauses get one reference, and silence to speak; speech gets each frame's own."""
  model, closed = Recorder(), Recorder()
  dub(**media, checkpoint=model, length='video', batch_size=20)
  dub(**media, checkpoint=closed, length='video', batch_size=20, silence='closed')
  rests = [k for k in range(20) if not np.array_equal(model.references[k], closed.references[k])]
  assert rests and set(rests) <= set(range(18)) and 10 in rests
  assert len({closed.references[k].tobytes() for k in rests}) == 1
  assert all((closed.heard[k] == -4).all() for k in rests)
  assert np.array_equal(model.heard[19], closed.heard[19])
