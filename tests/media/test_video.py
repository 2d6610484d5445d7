"""Reading and writing: exact rates, rotation, odd sizes, colours, there and back, and sound where the picture is."""

import itertools
from fractions import Fraction

import av
import numpy as np
import pytest

from lpips_jax.core.errors import UserError
from lpips_jax.media import playback
from lpips_jax.media.playback import play_there_and_back
from lpips_jax.media.speech import load_speech
from lpips_jax.media.video_reader import VideoInfo, count_frames, probe, read_frames
from lpips_jax.media.video_writer import write_video
from lpips_jax.media.ycbcr import Colours, to_rgb

RATES = [Fraction(24000, 1001), Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction(60000, 1001)]


def numbered(k, width=64, height=48):
  """A frame that tells its number by its brightness, and which way is up by a bright quarter."""
  frame = np.full((height, width, 3), 16 + 3 * k, np.uint8)
  frame[: height // 2, : width // 2, 0] = 250
  return frame


def write_numbered(path, n, rate=Fraction(25), sound=None, width=64, height=48):
  with write_video(path, VideoInfo(width, height, rate), sound) as write:
    for k in range(n):
      write(numbered(k, width, height))
  return path


def there_and_back(index: int, length: int) -> int:
  """Returns which of `length` frames `play_there_and_back` yields as its `index`-th."""
  if length == 1:
    return 0
  position = index % (2 * length - 2)
  return min(position, 2 * length - 2 - position)


def there_and_back_frames(path):
  return (to_rgb(shown.planes) for shown in play_there_and_back(path, probe(path)))


def number(frame):
  return round((frame[-1, -1, 1].astype(float) - 16) / 3)


def write_wav(path, samples, rate):
  with av.open(str(path), 'w') as container:
    stream = container.add_stream('pcm_s16le', rate=rate, layout='mono')
    frame = av.AudioFrame.from_ndarray(np.rint(32000 * samples).astype(np.int16)[None], format='s16', layout='mono')
    frame.sample_rate = rate
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
  return path


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


@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.webp'])
def test_still_images(tmp_path, suffix):
  import cv2

  path = tmp_path / f'still %d:{suffix}'
  path.write_bytes(cv2.imencode(suffix, numbered(20)[..., ::-1])[1])
  info = probe(path)
  assert (info.width, info.height, info.rate, info.still) == (64, 48, 25, True)
  frames = list(itertools.islice(there_and_back_frames(path), 5))
  assert len(frames) == 5
  assert abs(frames[4][40, 50].astype(int) - 76).max() < 4


@pytest.mark.parametrize('n', [1, 2, 3, 20])
def test_there_and_back_in_small_chunks(tmp_path, monkeypatch, n):
  path = write_numbered(tmp_path / 'v.mp4', n)
  monkeypatch.setattr(playback, 'CHUNK_BYTES', 7 * 64 * 72)
  expected = list(itertools.islice(itertools.cycle([*range(n), *range(n - 2, 0, -1)]), 70))
  assert [number(frame) for frame in itertools.islice(there_and_back_frames(path), 70)] == expected
  assert [there_and_back(k, n) for k in range(70)] == expected


def test_there_and_back_where_one_cannot_seek(tmp_path, monkeypatch):
  source, bare = write_numbered(tmp_path / 'v.mp4', 12), tmp_path / 'v.h264'
  with av.open(str(source)) as container, av.open(str(bare), 'w', format='h264') as raw:
    stream = raw.add_stream_from_template(container.streams.video[0])
    for packet in container.demux(video=0):
      if packet.dts is not None:
        packet.stream = stream
        raw.mux(packet)
  monkeypatch.setattr(playback, 'CHUNK_BYTES', 5 * 64 * 72)
  frames = itertools.islice(there_and_back_frames(bare), 30)
  assert [number(frame) for frame in frames] == [there_and_back(k, 12) for k in range(30)]


@pytest.mark.parametrize('rate', [16000, 44100])
@pytest.mark.parametrize('copied', [False, True])
def test_click_and_flash_stay_together(tmp_path, rate, copied):
  samples = np.zeros(3 * rate)
  samples[2 * rate : 2 * rate + rate // 100] = 0.9
  sound = write_wav(tmp_path / 'click.wav', samples, rate)
  if copied:  # an AAC track goes from one mp4 into the next as it is
    sound = write_numbered(tmp_path / 'first.mp4', 75, sound=sound)
  with write_video(tmp_path / 'v.mp4', VideoInfo(64, 48, Fraction(25)), sound) as write:
    for k in range(75):
      write(np.full((48, 64, 3), 255 if k == 50 else 0, np.uint8))
  flash = [frame.mean() > 128 for frame in read_frames(tmp_path / 'v.mp4')].index(True) / 25
  heard = load_speech(tmp_path / 'v.mp4')
  click = np.flatnonzero(abs(heard) > 0.3)[0] / 16000
  assert flash == 2 and abs(click - 2) < 0.01
  with av.open(str(tmp_path / 'v.mp4')) as container:
    track = container.streams.audio[0]
    assert (track.codec_context.name, track.sample_rate) == ('aac', rate)
    assert float(track.duration * track.time_base) == pytest.approx(3, abs=0.03)


@pytest.mark.parametrize('copied', [False, True])
def test_sound_is_cut_where_asked(tmp_path, copied):
  sound = write_wav(tmp_path / 'tone.wav', 0.5 * np.sin(np.arange(48000) / 10), 16000)
  if copied:
    sound = write_numbered(tmp_path / 'first.mp4', 75, sound=sound)
  with write_video(tmp_path / 'v.mp4', VideoInfo(64, 48, Fraction(25)), sound, whole_sound=False) as write:
    for k in range(25):
      write(numbered(k))
  packet = 0.064 if copied else 0  # what is copied ends with a whole packet of 1024 samples
  assert 1 <= len(load_speech(tmp_path / 'v.mp4')) / 16000 <= 1 + packet


def test_a_failure_leaves_what_was_there(tmp_path):
  path = tmp_path / 'v.mp4'
  path.write_text('kept')
  for error in (RuntimeError, KeyboardInterrupt):
    with pytest.raises(error), write_video(path, VideoInfo(64, 48, Fraction(25))) as write:
      write(numbered(0))
      raise error
  assert [p.name for p in tmp_path.iterdir()] == ['v.mp4'] and path.read_text() == 'kept'


def test_outputs_that_cannot_be(tmp_path):
  (tmp_path / 'dir.mp4').mkdir()
  (tmp_path / 'file').touch()
  for name in ('v.avi', 'v', 'dir.mp4', 'none/v.mp4', 'file/v.mp4'):
    with pytest.raises(UserError, match='output'), write_video(tmp_path / name, VideoInfo(64, 48, Fraction(25))):
      pass
  assert sorted(p.name for p in tmp_path.iterdir()) == ['dir.mp4', 'file']


def test_a_video_that_is_cut_short_ends_there(tmp_path):
  path = write_numbered(tmp_path / 'v.mp4', 60)
  content = path.read_bytes()
  path.write_bytes(content[: len(content) * 2 // 3])
  seen = [number(frame) for frame in read_frames(path)]
  assert 5 < len(seen) < 60 and seen == list(range(len(seen)))
  path.write_bytes(content[:200])
  with pytest.raises(UserError):
    probe(path)


def test_files_without_pictures(tmp_path):
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
