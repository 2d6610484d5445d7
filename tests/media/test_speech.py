"""Speech from files of any rate, channels and container; one clear line if there is none."""

import wave
from fractions import Fraction

import av
import numpy as np
import pytest

from lpips_jax.core.errors import UserError
from lpips_jax.media.speech import load_driving_speech, load_speech, open_speech, write_speech
from lpips_jax.media.video_reader import VideoInfo, probe
from lpips_jax.media.video_writer import write_video


def write_wav(path, samples, rate):
  """samples: (S,) or (S, channels) float in [-1, 1]."""
  samples = np.atleast_2d(np.asarray(samples).T).T
  with wave.open(str(path), 'wb') as file:
    file.setnchannels(samples.shape[1])
    file.setsampwidth(2)
    file.setframerate(rate)
    file.writeframes(np.rint(32767 * samples).astype('<i2').tobytes())
  return path


def tone(seconds, rate, frequency=300):
  return 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def test_16_khz_comes_back_as_it_is(tmp_path):
  samples = tone(0.5, 16000)
  loaded = load_speech(write_wav(tmp_path / 'a b%d:c.wav', samples, 16000))
  assert loaded.dtype == np.float32
  np.testing.assert_allclose(loaded, samples, atol=1e-4)


def test_unknown_codecs_are_one_line(tmp_path):
  wav = write_wav(tmp_path / 'tone.wav', tone(1, 16000), 16000)
  with write_video(tmp_path / 'v.webm', VideoInfo(32, 32, Fraction(25)), wav) as write:
    write(np.zeros((32, 32, 3), np.uint8))
  (tmp_path / 'u.webm').write_bytes(
    (tmp_path / 'v.webm').read_bytes().replace(b'V_VP9', b'V_UP9').replace(b'A_OPUS', b'A_OPUX')
  )
  with pytest.raises(UserError, match='a sound track whose codec is not known'):
    load_speech(tmp_path / 'u.webm')
  with pytest.raises(UserError, match='a picture whose codec is not known'):
    probe(tmp_path / 'u.webm')


def test_written_speech_is_read_back(tmp_path):
  samples = np.random.default_rng(0).integers(-32768, 32768, 1000, np.int16)
  write_speech(tmp_path / 'speech.wav', samples)
  np.testing.assert_array_equal(load_speech(tmp_path / 'speech.wav') * 32768, samples)


@pytest.mark.parametrize('delay', [Fraction(1, 5), Fraction(0), Fraction(-1, 5)])
def test_driving_speech_begins_with_the_picture(tmp_path, delay):
  wav = write_wav(tmp_path / 'tone.wav', tone(1, 16000), 16000)
  with write_video(tmp_path / 'v.mov', VideoInfo(32, 32, Fraction(25)), wav, delay=delay) as write:
    for _ in range(25):
      write(np.zeros((32, 32, 3), np.uint8))
  found, speech = load_driving_speech(tmp_path / 'v.mov')
  expected = np.concatenate([np.zeros(max(0, round(16000 * delay))), tone(1, 16000)[max(0, -round(16000 * delay)) :]])
  assert found == max(delay, 0)  # what comes before the picture was not written
  np.testing.assert_allclose(np.asarray(speech[: len(speech)]), expected, atol=1e-4)


@pytest.mark.parametrize(
  'change', [('mono', 'stereo', 16000, 16000), ('stereo', 'mono', 44100, 44100), ('mono', 'stereo', 44100, 22050)]
)
def test_a_track_that_changes_on_the_way_is_heard_and_written_whole(tmp_path, change):
  *layouts, rate, other = change
  path = tmp_path / 'joined.mp3'
  parts = []
  for k, (layout, hertz) in enumerate(zip(layouts, (rate, other), strict=True)):
    part = tmp_path / f'{k}.mp3'
    with av.open(str(part), 'w', options={'write_xing': '0', 'id3v2_version': '0'}) as container:
      stream = container.add_stream('libmp3lame', rate=hertz, layout=layout)
      samples = np.tile(tone(1, hertz), (1 if layout == 'mono' else 2, 1)).astype(np.float32)
      frame = av.AudioFrame.from_ndarray(samples, format='fltp', layout=layout)
      frame.sample_rate = hertz
      container.mux(stream.encode(frame))
      container.mux(stream.encode(None))
    parts.append(part.read_bytes())
  path.write_bytes(b''.join(parts))
  loaded = load_speech(path)
  assert 1.9 * 16000 < len(loaded) < 2.3 * 16000
  for half in (loaded[3000:15000], loaded[-15000:-3000]):
    assert 0.3 < np.sqrt(2) * half.std() < 0.72  # FFmpeg makes two channels 3 dB louder as one
  with write_video(tmp_path / 'v.webm', VideoInfo(32, 32, Fraction(25)), path) as write:
    write(np.zeros((32, 32, 3), np.uint8))
  again = load_speech(tmp_path / 'v.webm')
  assert abs(len(again) - len(loaded)) < 800 and again[-15000:-3000].std() > 0.2


def test_channels_are_averaged_not_added(tmp_path):
  left = tone(0.3, 16000)
  loaded = load_speech(write_wav(tmp_path / 'stereo.wav', np.stack([left, np.zeros_like(left)], 1), 16000))
  np.testing.assert_allclose(loaded, left / 2, atol=1e-4)


@pytest.mark.parametrize('rate', [8000, 44100, 48000])
def test_other_rates_are_resampled_in_place(tmp_path, rate):
  loaded = load_speech(write_wav(tmp_path / 'tone.wav', tone(1, rate), rate))
  assert abs(len(loaded) - 16000) <= 1
  middle = slice(1000, 15000)
  np.testing.assert_allclose(loaded[middle], tone(1, 16000)[middle], atol=5e-3)


def test_the_sound_of_a_video(tmp_path):
  wav = write_wav(tmp_path / 'tone.wav', tone(1, 16000), 16000)
  with write_video(tmp_path / 'v.mp4', VideoInfo(32, 32, Fraction(25)), wav) as write:
    for _ in range(25):
      write(np.zeros((32, 32, 3), np.uint8))
  loaded = load_speech(tmp_path / 'v.mp4')
  assert len(loaded) == 16000
  assert np.corrcoef(loaded[1000:15000], tone(1, 16000)[1000:15000])[0, 1] > 0.99


def test_files_without_speech(tmp_path):
  from scipy.io import wavfile

  (tmp_path / 'empty.wav').touch()
  (tmp_path / 'text.mp4').write_text('not a video\n' * 100)
  wavfile.write(tmp_path / 'nan.wav', 16000, np.full(1000, np.nan, np.float32))
  wavfile.write(tmp_path / 'integers.wav', 16000, np.full(1000, 20000, np.float32))
  write_wav(tmp_path / 'none.wav', np.zeros(0), 16000)
  with write_video(tmp_path / 'silent.mp4', VideoInfo(32, 32, Fraction(25))) as write:
    write(np.zeros((32, 32, 3), np.uint8))
  problems = {
    'missing.wav': 'does not exist',
    'empty.wav': 'is empty',
    'text.mp4': 'is not a media file',
    'nan.wav': 'not finite',
    'integers.wav': '2e.04 times full scale: scale them',
    'none.wav': 'without samples',
    'silent.mp4': 'no sound track',
    '.': 'is not a file',
  }
  for name, problem in problems.items():
    with pytest.raises(UserError, match=problem) as caught:
      load_speech(tmp_path / name)
    assert len(str(caught.value).splitlines()) == 1


def test_more_channels_than_can_be_read_are_refused(tmp_path):
  sound = np.zeros((1600, 8))
  assert load_speech(write_wav(tmp_path / 'seven.wav', sound[:, :7], 16000)).shape == (1600,)
  with pytest.raises(UserError, match='8 channels of sound: mix them down to 7 or fewer'):
    load_speech(write_wav(tmp_path / 'eight.wav', sound, 16000))


def test_missing_sound_is_silence_of_the_same_length(tmp_path):
  """Two seconds of a tone, of which half a second in the middle was lost on the way."""
  path, whole = tmp_path / 'hole.mka', tone(2, 16000).astype(np.float32)
  with av.open(str(path), 'w', format='matroska') as output:
    stream = output.add_stream('pcm_s16le', rate=16000, layout='mono')
    for first in range(0, 32000, 1600):
      if 12800 <= first < 20800:
        continue
      piece = np.rint(32767 * whole[first : first + 1600]).astype(np.int16)[None]
      frame = av.AudioFrame.from_ndarray(piece, format='s16', layout='mono')
      frame.sample_rate, frame.pts, frame.time_base = 16000, first, Fraction(1, 16000)
      output.mux(stream.encode(frame))
    output.mux(stream.encode(None))
  heard = load_speech(path)
  assert abs(len(heard) - 32000) <= 16
  assert np.abs(heard[13000:20500]).max() < 1e-3
  np.testing.assert_allclose(heard[21000:31000], whole[21000:31000], atol=0.02)


def test_speech_longer_than_is_accepted_is_refused(tmp_path):
  path = write_wav(tmp_path / 'tone.wav', tone(1.5, 16000), 16000)
  assert len(open_speech(path, max_minutes=1.5 / 60)[1]) == 24000
  with pytest.raises(UserError, match=r'longer than 0\.02 minutes: cut it, or raise max_minutes') as caught:
    load_driving_speech(path, max_minutes=0.02)
  assert caught.value.as_flags().endswith('or raise --max_minutes')
