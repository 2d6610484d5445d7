"""Writing videos: odd sides, colours, and outputs that fail or cannot be."""

from fractions import Fraction

import av
import numpy as np
import pytest
from pictures import numbered, write_numbered

from lpips_jax.core.errors import UserError
from lpips_jax.media import video_writer
from lpips_jax.media.video_reader import VideoInfo, probe, read_frames
from lpips_jax.media.video_writer import CODECS, FileMarks, check_output, default_codec, write_clip, write_video
from lpips_jax.media.ycbcr import Colours


def test_odd_sides_get_one_more_row_or_column(tmp_path):
  path = write_numbered(tmp_path / 'v.mp4', 2, width=51, height=37)
  frame = next(read_frames(path))
  assert frame.shape == (38, 52, 3)
  assert abs(frame[:37, :51].astype(int) - numbered(0, 51, 37)).mean() < 3
  assert abs(frame[22:, 32:].astype(int) - 16).max() < 3


@pytest.mark.parametrize('matrix', [1, 2, 5, 6, 9])
def test_colours_come_back(tmp_path, matrix):
  colours = [(230, 30, 30), (30, 200, 40), (40, 60, 220), (200, 160, 140), (16, 16, 16), (240, 240, 240)]
  frame = np.concatenate([np.full((64, 32, 3), colour, np.uint8) for colour in colours], axis=1)
  info = VideoInfo(frame.shape[1], 64, Fraction(25), colours=Colours(matrix))
  with write_video(tmp_path / 'v.mp4', info) as write:
    for _ in range(3):
      write(frame)
  assert probe(tmp_path / 'v.mp4').colours.matrix == matrix
  back = next(read_frames(tmp_path / 'v.mp4'))
  for place, colour in enumerate(colours):
    shift = back[8:-8, 32 * place + 8 : 32 * place + 24].reshape(-1, 3).mean(0) - colour
    assert abs(shift).max() < 1.5, f'{colour} came back off by {shift}'


def test_a_failure_leaves_what_was_there(tmp_path):
  path = tmp_path / 'v.mp4'
  path.write_text('kept')
  for error in (RuntimeError, KeyboardInterrupt):
    with pytest.raises(error), write_video(path, VideoInfo(64, 48, Fraction(25))) as write:
      write(numbered(0))
      raise error
  assert [p.name for p in tmp_path.iterdir()] == ['v.mp4'] and path.read_text() == 'kept'


def test_outputs_that_cannot_be_written_are_refused(tmp_path):
  (tmp_path / 'dir.mp4').mkdir()
  (tmp_path / 'file').touch()
  for name in ('v.avi', 'v', 'dir.mp4', 'none/v.mp4', 'file/v.mp4'):
    with pytest.raises(UserError, match='output'), write_video(tmp_path / name, VideoInfo(64, 48, Fraction(25))):
      pass
  assert sorted(p.name for p in tmp_path.iterdir()) == ['dir.mp4', 'file']


@pytest.mark.parametrize(
  ('arguments', 'problem', 'shown'),
  [
    (('out.webm', 'h264'), 'h264 cannot be in a .webm: choose another suffix, or codec=vp9', 'or --codec=vp9'),
    (('out.mp4', 'mjpeg'), 'codec must be one of h264, hevc', '--codec must be one of'),
    (('out.mp4', None, 99), 'crf must be from 0 to 51 for h264, not 99', '--crf must be from'),
    (('out.webm', None, 64), 'crf must be from 0 to 63 for vp9, not 64', '--crf must be from'),
  ],
)
def test_codecs_and_qualities_that_cannot_be_are_refused(arguments, problem, shown):
  with pytest.raises(UserError, match=problem) as caught:
    check_output(*arguments)
  assert shown in caught.value.as_flags()


def test_the_default_codec_fits_the_file_and_its_samples():
  assert [default_codec(name) for name in ('a.mp4', 'a.mkv', 'a.WEBM')] == ['h264', 'h264', 'vp9']
  assert default_codec('a.mp4', depth=10) == 'hevc' and {'h264', 'hevc', 'vp9'} < set(CODECS)


@pytest.mark.parametrize('speech', [None, np.zeros(1600, np.int16)])
def test_a_clip_is_25_frames_a_second_with_or_without_speech(tmp_path, speech):
  write_clip(tmp_path / 'clip.mp4', [numbered(k) for k in range(3)], (48, 64), speech)
  info = probe(tmp_path / 'clip.mp4')
  assert (info.width, info.height, info.rate, info.frames) == (64, 48, 25, 3)


def test_only_failures_of_writing_are_blamed_on_the_output(tmp_path, monkeypatch):
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


@pytest.mark.parametrize('name', ['v.mp4', 'v.mkv'])
def test_marks_are_tags_and_a_seal_before_the_file_gets_its_name(tmp_path, name):
  path, sealed = tmp_path / name, []

  def seal(part, container):
    sealed.append((part.suffix, container, path.exists()))
    with part.open('ab') as file:
      file.write(b'\0\0\0\x0cfreeseal')

  write_clip(path, [numbered(k) for k in range(3)], (48, 64), None, FileMarks({'comment': 'a comment'}, seal))
  assert sealed == [('.part', 'mp4' if name == 'v.mp4' else 'matroska', False)]
  assert path.read_bytes().endswith(b'freeseal') and len(list(read_frames(path))) == 3
  with av.open(str(path)) as container:
    assert {tag.lower(): text for tag, text in container.metadata.items()}['comment'] == 'a comment'


def test_a_seal_that_fails_leaves_nothing(tmp_path):
  def seal(part, container):
    assert part.exists()
    raise OSError(28, 'No space left on device')

  with pytest.raises(UserError, match=r'v\.mp4 cannot be written: No space left'):
    write_clip(tmp_path / 'v.mp4', [numbered(0)], (48, 64), None, FileMarks({}, seal))
  assert list(tmp_path.iterdir()) == []
