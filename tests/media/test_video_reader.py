"""Reading videos: exact rates and counts, rotation, reduced frames, and files that are cut short or no videos."""

from fractions import Fraction

import av
import numpy as np
import pytest
from pictures import number, numbered, write_numbered, write_wav

from lpips_jax.core.errors import UserError
from lpips_jax.media.video_reader import count_frames, probe, read_chosen, read_frames, read_timed

RATES = [Fraction(24000, 1001), Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction(60000, 1001)]


@pytest.mark.parametrize('rate', RATES)
def test_rate_and_count_are_exact(tmp_path, rate):
  path = write_numbered(tmp_path / 'v.mp4', 37, rate)
  info = probe(path)
  assert (info.rate, info.frames, info.still) == (rate, 37, False)
  assert [number(frame) for frame in read_frames(path)] == list(range(37))
  assert count_frames(path) == 37 and count_frames(path, 5) == 5
  with av.open(str(path)) as container:
    assert [f.time for f in container.decode(video=0)] == pytest.approx([float(k / rate) for k in range(37)], abs=1e-6)


def test_one_frame_is_a_still_image_whatever_its_file(tmp_path):
  info = probe(write_numbered(tmp_path / 'v.mp4', 1, Fraction(1)))
  assert (info.rate, info.frames, info.tick) == (25, 1, None)


def test_the_rotation_a_phone_asks_for_is_done(tmp_path):
  path = write_numbered(tmp_path / 'v.mp4', 3)
  content = bytearray(path.read_bytes())
  matrix = content.index(b'tkhd') + 4 + 40  # version and flags, times, ids, layer, volume: then nine 16.16 numbers
  one = 0x10000
  quarter_clockwise = [0, one, 0, -one, 0, 0, 48 * one, 0, 1 << 30]
  content[matrix : matrix + 36] = b''.join(x.to_bytes(4, 'big', signed=True) for x in quarter_clockwise)
  path.write_bytes(content)
  assert (probe(path).width, probe(path).height) == (48, 64)
  frame = next(read_frames(path))
  assert abs(frame.astype(int) - np.rot90(numbered(0), -1)).mean() < 2


def test_reduced_frames(tmp_path):
  path = write_numbered(tmp_path / 'v.mp4', 2, width=640, height=480)
  assert next(read_frames(path, longest_side=320)).shape == (240, 320, 3)
  assert next(read_frames(path, longest_side=1000)).shape == (480, 640, 3)


def test_a_video_ends_at_a_frame_that_claims_more_memory_than_there_is(tmp_path):
  path = write_numbered(tmp_path / 'v.mp4', 10, Fraction(25))
  content = bytearray(path.read_bytes())
  sizes = content.index(b'stsz') + 16  # after its name, version and flags, the common size and the count
  content[sizes + 4 * 5] = 0x30  # the sixth frame is said to have 800 MB
  path.write_bytes(content)
  assert probe(path).rate == 25
  assert len(list(read_frames(path))) <= 5


def test_a_video_that_is_cut_short_ends_there(tmp_path):
  path = write_numbered(tmp_path / 'v.mp4', 60)
  content = path.read_bytes()
  path.write_bytes(content[: len(content) * 2 // 3])
  seen = [number(frame) for frame in read_frames(path)]
  assert 5 < len(seen) < 60 and seen == list(range(len(seen)))
  path.write_bytes(content[:200])
  with pytest.raises(UserError):
    probe(path)


def test_files_without_pictures_are_refused(tmp_path):
  (tmp_path / 'text.mp4').write_text('no video\n' * 50)
  (tmp_path / 'empty.mp4').touch()
  write_wav(tmp_path / 'sound.wav', np.zeros(1000), 16000)
  problems = {
    'text.mp4': 'not a media file',
    'empty.mp4': 'is empty',
    'sound.wav': 'no picture',
    'gone.mp4': 'not exist',
  }
  for name, problem in problems.items():
    with pytest.raises(UserError, match=problem):
      probe(tmp_path / name)


def test_a_picture_of_too_many_pixels_is_refused(tmp_path):
  path = write_numbered(tmp_path / 'v.mp4', 2)
  assert probe(path, max_pixels=64 * 48).width == 64
  with pytest.raises(UserError, match='64 x 48 pixels large: reduce it, or raise max_pixels=3071') as caught:
    probe(path, max_pixels=64 * 48 - 1)
  assert 'raise --max_pixels=3071' in caught.value.as_flags()


def test_times_are_those_of_the_file_and_chosen_frames_are_the_same(tmp_path):
  rate = Fraction(30000, 1001)
  path = write_numbered(tmp_path / 'v.mp4', 20, rate)
  timed = list(read_timed(path))
  assert [float(time) for time, _ in timed] == pytest.approx([float(k / rate) for k in range(20)], abs=1e-6)
  everything = list(read_frames(path))
  for index, frame in zip([0, 3, 4, 19], read_chosen(path, [0, 3, 4, 19, 25]), strict=True):
    np.testing.assert_array_equal(frame, everything[index])
    np.testing.assert_array_equal(frame, timed[index][1])
