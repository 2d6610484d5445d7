"""Frames and sound at their times: every frame rate, uneven ones too, and sound that starts early or late."""

from fractions import Fraction

import av
import numpy as np
import pytest
from painter import MOUTH, Painter, write_boxes, write_clip, write_speech

from lpips_jax.dubbing import dub
from lpips_jax.media.speech import load_speech, load_timed_speech
from lpips_jax.media.video_reader import probe, read_frames, read_timed

RATES = [
  Fraction(24000, 1001),
  Fraction(24),
  Fraction(25),
  Fraction(30000, 1001),
  Fraction(30),
  Fraction(50),
  Fraction(60000, 1001),
]


def write_uneven(path, ticks, tick=Fraction(1, 1000)):
  """Writes a clip whose frames are shown at these ticks; each is brighter than the one before."""
  with av.open(str(path), 'w') as container:
    stream = container.add_stream('libx264', rate=25, options={'crf': '4', 'bf': '0'})
    stream.width, stream.height, stream.pix_fmt = 120, 96, 'yuv420p'
    stream.codec_context.time_base = tick
    for k, when in enumerate(ticks):
      frame = av.VideoFrame.from_ndarray(np.full((96, 120, 3), 60 + 4 * k, np.uint8), format='rgb24')
      frame.pts, frame.time_base = when, tick
      container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
  return path


def times_of(path):
  return [float(time) for time, _ in read_timed(path)]


@pytest.mark.parametrize('rate', RATES)
@pytest.mark.parametrize('suffix', ['.mp4', '.mkv'])
def test_rate_and_count_are_exact(tmp_path, rate, suffix):
  face = write_clip(tmp_path / f'face{suffix}', 30, rate)
  boxes, speech = write_boxes(tmp_path / 'boxes.json', 30), write_speech(tmp_path / 'speech.wav', 0.3, 0.7)
  assert probe(face).tick is None
  output = tmp_path / f'out{suffix}'
  for length, count in (('video', 30), ('audio', -(-rate // 1))):
    dub(face, speech, output, Painter(), boxes=boxes, length=length)
    assert probe(output).rate == rate
    np.testing.assert_allclose(times_of(output), [float(k / rate) for k in range(count)], atol=0.0011)


def test_uneven_times_are_kept(tmp_path):
  rng = np.random.default_rng(0)
  ticks = np.cumsum(rng.integers(15, 80, 40)) - 15
  ticks -= ticks[0]
  face = write_uneven(tmp_path / 'face.mp4', ticks)
  boxes, speech = write_boxes(tmp_path / 'boxes.json', 40), write_speech(tmp_path / 'speech.wav', 1.0, 0.6)
  dub(face, speech, tmp_path / 'out.mp4', Painter(), boxes=boxes, length='video')
  found = times_of(tmp_path / 'out.mp4')
  np.testing.assert_allclose(found, ticks / 1000, atol=1e-6)
  spoken = [frame[MOUTH].mean() > 128 for frame in read_frames(tmp_path / 'out.mp4')]
  assert abs(found[spoken.index(True)] - 1) < 0.15

  dub(face, write_speech(tmp_path / 'long.wav', 0, 3.5), tmp_path / 'long.mp4', Painter(), boxes=boxes)
  back = np.diff(times_of(tmp_path / 'long.mp4'))
  steps = np.diff(ticks) / 1000
  np.testing.assert_allclose(back, np.concatenate([steps, steps[::-1], steps])[: len(back)], atol=1e-6)
  assert abs(times_of(tmp_path / 'long.mp4')[-1] - 3.5) < 0.08


def test_lips_move_while_the_picture_rests(tmp_path):
  """Two seconds are missing, in which speech begins and ends."""
  face = write_uneven(tmp_path / 'face.mp4', [0, 1, 2, 3, 54, 55, 56], Fraction(1, 25))
  boxes, speech = write_boxes(tmp_path / 'boxes.json', 57), write_speech(tmp_path / 'speech.wav', 1.0, 0.4)
  dub(face, speech, tmp_path / 'out.mp4', Painter(), boxes=boxes, length='video')
  np.testing.assert_allclose(times_of(tmp_path / 'out.mp4'), np.arange(57) / 25, atol=1e-6)
  frames = list(read_frames(tmp_path / 'out.mp4'))
  spoken = [frame[MOUTH].mean() > 128 for frame in frames]
  assert not any(spoken[:22]) and all(spoken[28:33]) and not any(spoken[38:])
  assert max(abs(frame[:40].astype(int) - frames[3][:40]).max() for frame in frames[4:54]) <= 3


def click_and_flash(path, rate, at, sound_from=Fraction(0)):
  """Writes a video of 6 s that turns white, and clicks, at some seconds; its sound may start late or early."""
  samples = np.zeros(6 * 16000)
  for second in at:
    begin = round((second - float(sound_from)) * 16000)
    samples[begin : begin + 160] = 0.9
  with av.open(str(path), 'w') as container:
    picture, sound = container.add_stream('libx264', rate=rate), container.add_stream('aac', rate=16000, layout='mono')
    picture.width, picture.height, picture.pix_fmt = 120, 96, 'yuv420p'
    for k in range(int(6 * rate)):
      level = 255 if any(0 <= k / rate - second < 1 / rate for second in at) else 0
      frame = av.VideoFrame.from_ndarray(np.full((96, 120, 3), level, np.uint8), format='rgb24')
      frame.pts, frame.time_base = k + round(max(0, -sound_from) * rate), 1 / rate
      container.mux(picture.encode(frame))
    frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format='fltp', layout='mono')
    frame.sample_rate, frame.pts = 16000, round(max(Fraction(0), sound_from) * 16000)
    container.mux(sound.encode(frame))
    container.mux(sound.encode(None))
    container.mux(picture.encode(None))
  return path


@pytest.mark.parametrize('suffix', ['.mp4', '.mkv'])
@pytest.mark.parametrize('sound_from', [Fraction(0), Fraction(2, 5), Fraction(-2, 5)])
def test_sound_keeps_its_distance_from_the_picture(tmp_path, suffix, sound_from):
  source = click_and_flash(tmp_path / f'source{suffix}', Fraction(25), (1, 5), sound_from)
  boxes = write_boxes(tmp_path / 'boxes.json', 1)
  dub(source, source, tmp_path / f'out{suffix}', Painter(), boxes=boxes, length='video')
  flashes = [time for time, frame in read_timed(tmp_path / f'out{suffix}') if frame[5, 5].mean() > 128]
  start, heard = load_timed_speech(tmp_path / f'out{suffix}')
  loud = np.flatnonzero(abs(heard) > 0.3) / 16000 + float(start)
  clicks = [loud[0], loud[loud > 3][0]]
  np.testing.assert_allclose(clicks, [float(time - 0) for time in flashes], atol=0.01)
  assert float(flashes[0]) == pytest.approx(1, abs=0.002)


@pytest.mark.parametrize(
  ('codec', 'source', 'output'),
  [
    ('aac', '.m4a', '.mp4'),
    ('libmp3lame', '.mp3', '.mp4'),
    ('flac', '.flac', '.mp4'),
    ('alac', '.m4a', '.mp4'),
    ('libopus', '.ogg', '.mp4'),
    ('libopus', '.ogg', '.webm'),
    ('pcm_s16le', '.wav', '.mov'),
    ('pcm_s16le', '.wav', '.mkv'),
    ('pcm_s16le', '.wav', '.webm'),
  ],
)
def test_the_driving_track_is_untouched(tmp_path, codec, source, output):
  """It is copied where the container can hold it, and in time with the frames in any case."""
  rate = 48000
  samples = np.zeros(2 * rate, np.float32)
  samples[rate : rate + rate // 100] = 0.9
  with av.open(str(tmp_path / f'speech{source}'), 'w') as container:
    stream = container.add_stream(codec, rate=rate, layout='stereo')
    form = stream.codec_context.format.name if stream.codec_context.format else 's16'
    frame = av.AudioFrame.from_ndarray(np.tile(samples, (2, 1)), format='fltp', layout='stereo')
    frame.sample_rate = rate
    frame.pts = 0
    for piece in av.AudioResampler(format=form, layout='stereo', rate=rate).resample(frame):
      container.mux(stream.encode(piece))
    container.mux(stream.encode(None))
  face, boxes = write_clip(tmp_path / 'face.mp4', 10), write_boxes(tmp_path / 'boxes.json', 10)
  dub(face, tmp_path / f'speech{source}', tmp_path / f'out{output}', Painter(), boxes=boxes)
  heard = load_speech(tmp_path / f'out{output}')
  assert abs(np.flatnonzero(abs(heard) > 0.3)[0] / 16000 - 1) < 0.01
  spoken = [frame[MOUTH].mean() > 128 for frame in read_frames(tmp_path / f'out{output}')]
  assert abs(spoken.index(True) - 25) <= 3
  with av.open(str(tmp_path / f'out{output}')) as result, av.open(str(tmp_path / f'speech{source}')) as driving:
    names = [file.streams.audio[0].codec_context.codec.canonical_name for file in (result, driving)]
    copied = (codec, output) != ('pcm_s16le', '.webm')
    assert names == ([names[1]] * 2 if copied else ['opus', 'pcm_s16le'])
    if copied:
      packets = [[bytes(packet) for packet in file.demux(audio=0) if packet.size] for file in (result, driving)]
      assert b''.join(packets[0]) == b''.join(packets[1])
