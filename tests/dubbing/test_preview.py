"""The second video: source, generated faces and result."""

import json

import numpy as np
from painter import MOUTH, Painter

from lpips_jax.dubbing import dub
from lpips_jax.media.speech import load_speech
from lpips_jax.media.video_reader import probe, read_frames
from lpips_jax.provenance import reading


def test_a_preview_shows_source_face_and_result(media, tmp_path):
  dub(**media, checkpoint=Painter(), preview=tmp_path / 'preview.mp4')
  info = probe(tmp_path / 'preview.mp4')
  assert reading.read(tmp_path / 'preview.mp4') == reading.read(media['output']) != []
  assert (info.width, info.height, info.frames) == (450 + 360 + 450, 360, 40)
  np.testing.assert_array_equal(*(load_speech(path) for path in (media['output'], tmp_path / 'preview.mp4')))
  last = list(read_frames(tmp_path / 'preview.mp4'))[-1]
  rows, columns = (slice(round(3.75 * part.start) + 4, round(3.75 * part.stop) - 4) for part in MOUTH)
  source, result = last[rows, columns], last[rows, columns.start + 810 : columns.stop + 810]
  assert source.mean() < 150 and result.mean() > 230
  assert last[240:290, 450 + 130 : 450 + 240].mean() > 230  # the generated mouth


def test_a_preview_has_room_for_a_crowd(media):
  crowd = [[x, y, x + 8, y + 8] for x in range(0, 110, 5) for y in range(0, 80, 5)]
  media['boxes'].write_text(json.dumps([crowd]))
  dub(**media, checkpoint=Painter(), length='video', preview=media['output'].with_name('preview.mp4'))
  assert len(crowd) > 350 and probe(media['output']).frames == 20
