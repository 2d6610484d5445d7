"""Sound tracks: they stay with the picture, and end where they are asked to, encoded or copied."""

from fractions import Fraction

import av
import numpy as np
import pytest
from pictures import numbered, write_numbered, write_wav

from lpips_jax.media.speech import load_speech
from lpips_jax.media.video_reader import VideoInfo, read_frames
from lpips_jax.media.video_writer import write_video


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
