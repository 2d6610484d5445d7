"""The engine under a program: progress, cancellation, pictures as they are made."""

import threading
from fractions import Fraction

import numpy as np
import pytest
from painter import Painter

from lpips_jax.core.errors import Cancelled, UserError
from lpips_jax.dubbing import Dubber, Options
from lpips_jax.media.video_reader import read_frames


@pytest.fixture
def dubber():
  return Dubber(Painter(), progress=False)


def arguments(media):
  return {name: media[name] for name in ('face', 'audio', 'output')}, Options(boxes=media['boxes'], silence='closed')


def test_progress_is_told_frame_by_frame(media, dubber):
  files, options = arguments(media)
  told = []
  dubber.dub(**files, options=options, report=told.append)
  looking, dubbing = ([each for each in told if each.stage == stage] for stage in ('looking', 'dubbing'))
  assert looking + dubbing == told
  assert [each.done for each in looking] == list(range(21)) and looking[0].total == 20
  assert [each.done for each in dubbing] == list(range(41)) and dubbing[0].total == 40
  assert dubbing[0].seconds_left is None and dubbing[-1].seconds_left == 0
  halfway = dubbing[20]
  assert halfway.seconds_left == pytest.approx(halfway.seconds) and halfway.rate == 20 / halfway.seconds


@pytest.mark.parametrize(('stage', 'done'), [('looking', 0), ('looking', 9), ('dubbing', 0), ('dubbing', 17)])
def test_cancelling_leaves_nothing(media, dubber, tmp_path, stage, done):
  files, options = arguments(media)
  before, threads = set(tmp_path.iterdir()), set(threading.enumerate())
  cancel = threading.Event()

  def report(progress):
    if (progress.stage, progress.done) == (stage, done):
      cancel.set()

  with pytest.raises(Cancelled):
    dubber.dub(**files, options=options, report=report, cancel=cancel)
  assert set(tmp_path.iterdir()) == before
  assert not {thread for thread in threading.enumerate() if thread.name.startswith('dubbing')} - threads
  dubber.dub(**files, options=options)
  assert len(list(read_frames(media['output']))) == 40


def test_a_slow_generator_is_cancelled_from_another_thread(media):
  begun, go_on = threading.Event(), threading.Event()

  class Slow(Painter):
    def __call__(self, faces, mels):
      begun.set()
      go_on.wait(10)
      return super().__call__(faces, mels)

  files, options = arguments(media)
  cancel, ended = threading.Event(), []

  def work():
    try:
      Dubber(Slow(), progress=False).dub(**files, options=options, cancel=cancel)
    except Cancelled:
      ended.append('cancelled')

  thread = threading.Thread(target=work)
  thread.start()
  assert begun.wait(10)
  cancel.set()
  go_on.set()
  thread.join(10)
  assert ended == ['cancelled'] and not media['output'].exists()


def test_cancelled_before_it_begins(media, dubber):
  files, options = arguments(media)
  cancel = threading.Event()
  cancel.set()
  with pytest.raises(Cancelled):
    dubber.dub(**files, options=options, cancel=cancel)


def test_a_stream_yields_the_pictures_of_the_dub(media, dubber):
  files, options = arguments(media)
  pictures = list(dubber.stream(files['face'], files['audio'], options))
  assert [picture.time for picture in pictures] == [Fraction(k, 25) for k in range(40)] and not media['output'].exists()
  dubber.dub(**files, options=options)
  for picture, written in zip(pictures, read_frames(files['output']), strict=True):
    assert picture.rgb.dtype == np.uint8 and picture.rgb.shape == (96, 120, 3)
    assert np.abs(picture.rgb.astype(int) - written).mean() < 3  # the encoder's loss


def test_a_stream_that_is_closed_ends_its_threads(media, dubber):
  files, options = arguments(media)
  threads = set(threading.enumerate())
  stream = dubber.stream(files['face'], files['audio'], options)
  assert next(stream).time == 0
  stream.close()
  assert not {thread for thread in threading.enumerate() if thread.name.startswith('dubbing')} - threads


def test_one_dub_at_a_time(media, dubber):
  files, options = arguments(media)
  stream = dubber.stream(files['face'], files['audio'], options)
  next(stream)
  with pytest.raises(UserError, match='at work on another dub'):
    dubber.dub(**files, options=options)
  stream.close()
  dubber.dub(**files, options=options)


def test_a_stream_writes_no_files(media, dubber, tmp_path):
  for option in ({'preview': tmp_path / 'p.mp4'}, {'save_boxes': tmp_path / 'b.json'}):
    with pytest.raises(UserError, match='a stream writes no files'):
      next(dubber.stream(media['face'], media['audio'], Options(**option)))
