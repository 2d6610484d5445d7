"""Which files are opened: media, and none that name other files."""

import av
import numpy as np
import pytest
from pictures import corners, write_film

from lpips_jax.core.errors import UserError
from lpips_jax.media.containers import open_media
from lpips_jax.media.speech import load_speech
from lpips_jax.media.video_reader import probe

HLS = '#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n'
CONCAT = 'ffconcat version 1.0\nfile {}\n'
SDP = 'v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n'
VOBSUB = '# VobSub index file, v7\nsize: 720x480\nid: en, index: 0\ntimestamp: 00:00:01:000, filepos: 000000000\n'


@pytest.mark.parametrize(
  ('name', 'text'),
  [('face.m3u8', HLS), ('face.mp4', CONCAT), ('speech.wav', CONCAT), ('face.sdp', SDP), ('face.idx', VOBSUB)],
)
def test_files_that_name_others_are_refused(tmp_path, name, text):
  write_film(tmp_path / 'private.ts', [corners()] * 3)
  (tmp_path / name).write_text(text.format('private.ts'))
  (tmp_path / 'face.sub').touch()
  for read in (open_media, probe, load_speech):
    with pytest.raises(UserError, match='names other files'):
      read(tmp_path / name)


def test_the_same_files_were_read_without_that(tmp_path):
  """The refusal is of the playlist, not of what it names."""
  write_film(tmp_path / 'private.mp4', [corners()] * 3)
  (tmp_path / 'face.mp4').write_text(CONCAT.format('private.mp4'))
  assert probe(tmp_path / 'private.mp4').frames == 3
  with av.open(str(tmp_path / 'face.mp4')) as container:
    assert container.format.name == 'concat' and len(list(container.decode(video=0))) == 3


def test_names_are_no_patterns_and_no_protocols(tmp_path):
  for k in range(3):
    write_film(tmp_path / f'{k}.png', [np.full_like(corners(), 50 * k)], 'rgb24', 'png', {})
  with pytest.raises(UserError, match='does not exist'):
    probe(tmp_path / '%d.png')
  for name in ('%d.png', 'concat:0.png|1.png', 'a:b.png'):
    (tmp_path / '0.png').rename(tmp_path / name)
    assert probe(tmp_path / name).frames == 1
    (tmp_path / name).rename(tmp_path / '0.png')
