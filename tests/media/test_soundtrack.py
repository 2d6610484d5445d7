"""Sound tracks: in time in every container, without what was cut away, and no longer than asked; copied or encoded."""

from fractions import Fraction

import av
import numpy as np
import pytest
from pictures import numbered, write_numbered, write_wav

from lpips_jax.media.speech import load_speech, load_timed_speech
from lpips_jax.media.video_reader import VideoInfo, read_frames, read_timed
from lpips_jax.media.video_writer import write_video

CONTAINERS = '.mp4', '.mov', '.mkv', '.webm'
CLICK = 0.6  # seconds


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


def encoded(path, samples, codec, rate, cut=0.0):
  """Writes (S,) samples; an edit list leaves out `cut` seconds at the beginning, which the file still holds."""
  with av.open(str(path), 'w') as output:
    stream = output.add_stream(codec, rate=rate, layout='mono')
    frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format='fltp', layout='mono')
    frame.sample_rate, frame.pts = rate, 0
    resampler = av.AudioResampler(format=stream.codec_context.format.name, layout='mono', rate=rate)
    pieces = [*resampler.resample(frame), *resampler.resample(None), None]
    for packet in (packet for piece in pieces for packet in stream.encode(piece)):
      shift = round(cut / packet.time_base)
      packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
      output.mux(packet)
  return path


def clicks(rate, times, seconds=1.0):
  samples = np.zeros(round(seconds * rate))
  for time in times:
    samples[round(time * rate) : round((time + 0.01) * rate)] = 0.9
  return samples


def with_sound(path, sound, frames=25, **options):
  """Writes a film with a sound track."""
  with write_video(path, VideoInfo(32, 32, Fraction(25)), sound, **options) as write:
    for k in range(frames):
      write(np.full((32, 32, 3), 8 * k, np.uint8))
  return path


def heard(path):
  """Returns the times of the clicks after the first frame, the time of that frame, and the end of the sound."""
  times = [time for time, _ in read_timed(path)]
  start, samples = load_timed_speech(path)
  loud = np.flatnonzero(np.abs(samples) > 0.3)
  begins = loud[np.diff(loud, prepend=-10_000) > 800] / 16_000 + float(start)
  return begins - float(times[0]), float(times[0]), float(start) + len(samples) / 16_000


@pytest.mark.parametrize('suffix', CONTAINERS)
@pytest.mark.parametrize('codec', ['aac', 'alac'])
def test_what_an_editor_has_cut_away_is_not_heard(tmp_path, suffix, codec):
  """The first of two seconds, with a click in it, is cut away, in the middle of a block of the codec."""
  source = encoded(tmp_path / 'cut.m4a', clicks(16_000, [0.4, 1 + CLICK], 2.0), codec, 16_000, cut=1.01)
  times, first_frame, _ = heard(with_sound(tmp_path / f'out{suffix}', source))
  np.testing.assert_allclose(times, [CLICK - 0.01], atol=0.004)
  assert first_frame == 0
  with av.open(str(tmp_path / f'out{suffix}')) as output:
    assert sum(packet.size > 0 and packet.pts * packet.time_base < -0.3 for packet in output.demux(audio=0)) == 0


@pytest.mark.parametrize('suffix', CONTAINERS)
@pytest.mark.parametrize(('codec', 'name'), [('aac', 'a.m4a'), ('libmp3lame', 'a.mp3'), ('libopus', 'a.ogg')])
def test_a_lead_in_for_the_decoder_does_not_move_the_film(tmp_path, suffix, codec, name):
  source = encoded(tmp_path / name, clicks(48_000, [CLICK]), codec, 48_000)
  times, first_frame, _ = heard(with_sound(tmp_path / f'out{suffix}', source))
  np.testing.assert_allclose(times, [CLICK], atol=0.002)
  assert first_frame == 0


@pytest.mark.parametrize('suffix', CONTAINERS)
@pytest.mark.parametrize('rate', [8000, 11_025, 12_000, 16_000, 22_050, 44_100, 48_000])
def test_mp3_of_any_rate_is_in_time(tmp_path, suffix, rate):
  source = encoded(tmp_path / 'a.mp3', clicks(rate, [CLICK]), 'libmp3lame', rate)
  times, _, _ = heard(with_sound(tmp_path / f'out{suffix}', source, 5))
  np.testing.assert_allclose(times, [CLICK], atol=0.003)
  with av.open(str(tmp_path / f'out{suffix}')) as output:
    copied = suffix != '.webm' and not (suffix == '.mp4' and rate < 16_000)
    assert (output.streams.audio[0].codec_context.name == 'mp3float') == copied


@pytest.mark.parametrize('suffix', ['.mov', '.mkv'])
@pytest.mark.parametrize('delay', [Fraction(0), Fraction(-1, 30), Fraction(1, 30)])
def test_copied_samples_begin_and_end_with_the_film(tmp_path, suffix, delay):
  source = encoded(tmp_path / 'a.wav', clicks(44_100, [CLICK]), 'pcm_s16le', 44_100)
  path = with_sound(tmp_path / f'out{suffix}', source, 19, whole_sound=False, delay=delay)
  start, _ = load_timed_speech(path)
  times, _, end = heard(path)
  assert abs(float(start) - max(0, float(delay))) <= 0.001
  np.testing.assert_allclose(times, [CLICK + float(delay)], atol=0.0011)
  assert abs(end - 19 / 25) <= 0.001  # Matroska counts milliseconds
  with av.open(str(path)) as output:
    assert output.streams.audio[0].codec_context.name == 'pcm_s16le'


@pytest.mark.parametrize('rate', [11_025, 44_100])
def test_all_samples_are_copied(tmp_path, rate):
  """Matroska gives the length of a packet to the millisecond only; its samples are exact."""
  source = encoded(tmp_path / 'a.mka', clicks(rate, [CLICK]), 'pcm_s16le', rate)
  path = with_sound(tmp_path / 'out.mkv', source)
  contents = []
  for file in (source, path):
    with av.open(str(file)) as container:
      contents.append(b''.join(bytes(packet) for packet in container.demux(audio=0) if packet.size))
  assert contents[0] == contents[1] and len(contents[0]) == 2 * rate


def test_mp3_without_a_length_is_read_to_its_end(tmp_path):
  """Without the frame in which an encoder gives the length, and cut short, the length is guessed, and too small."""
  content = encoded(tmp_path / 'a.mp3', clicks(44_100, [CLICK], 2.0), 'libmp3lame', 44_100).read_bytes()
  audio = content[content.index(b'\xff\xfb') :]
  (tmp_path / 'b.mp3').write_bytes(audio[audio.index(b'\xff\xfb', 4) : -1000])
  with av.open(str(tmp_path / 'b.mp3')) as container:
    decoded = sum(frame.samples for frame in container.decode(audio=0)) / 44_100
    guessed = container.streams.audio[0].duration * container.streams.audio[0].time_base
  assert guessed < decoded - 0.01  # else this test shows nothing
  assert len(load_speech(tmp_path / 'b.mp3')) == pytest.approx(16_000 * decoded, abs=2)
