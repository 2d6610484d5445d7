"""Marks of provenance and the label, in what the engine writes."""

import av
import numpy as np
import pytest
from painter import Painter, write_boxes

from lpips_jax.core.errors import UserError
from lpips_jax.dubbing import dub
from lpips_jax.media.pictures import write_png
from lpips_jax.media.video_reader import read_frames
from lpips_jax.provenance import reading

COMPOSITE = 'http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia'
GENERATED = 'http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia'


def packets(path):
  with av.open(str(path)) as container:
    return [(packet.stream.index, packet.pts, bytes(packet)) for packet in container.demux()]


def source_types(path):
  return [(mark.part, mark.source_type) for mark in reading.read(path) if mark.source_type]


@pytest.mark.parametrize('suffix', ['.mp4', '.mov', '.mkv', '.webm'])
def test_marks_change_no_picture_and_no_sound(media, tmp_path, suffix):
  marked, plain = tmp_path / f'marked{suffix}', tmp_path / f'plain{suffix}'
  dub(**(media | {'output': marked}), checkpoint=Painter())
  dub(**(media | {'output': plain}), checkpoint=Painter(), no_marks=True)
  assert source_types(marked) == [('', COMPOSITE)] and not source_types(plain)
  assert packets(marked) == packets(plain) != []


def test_a_still_that_speaks_is_generated_and_stays_so(media, tmp_path):
  """The second pass is over a film that an algorithm made."""
  still, boxes = tmp_path / 'face.png', write_boxes(tmp_path / 'one.json', 1)
  write_png(still, np.full((96, 120, 3), 90, np.uint8))
  first, second = tmp_path / 'first.mp4', tmp_path / 'second.mp4'
  dub(still, media['audio'], first, Painter(), boxes=boxes)
  assert source_types(first) == [('', GENERATED)]
  dub(first, media['audio'], second, Painter(), boxes=media['boxes'], synthetic_voice='espeak-ng, en')
  assert source_types(second) == [('', GENERATED), ('face', GENERATED)]
  assert [mark.voice for mark in reading.read(second) if mark.part == ''] == ['espeak-ng, en']


def test_the_second_pass_keeps_the_marks_of_the_first(media, tmp_path):
  second = tmp_path / 'second.mkv'
  dub(**media, checkpoint=Painter())
  dub(media['output'], media['output'], second, Painter(), boxes=media['boxes'])
  assert source_types(second) == [('', COMPOSITE), ('face', COMPOSITE)]


def test_the_label_is_in_the_corner_alone(media, tmp_path):
  labelled = tmp_path / 'labelled.mp4'
  dub(**media, checkpoint=Painter(), crf=0)
  dub(**(media | {'output': labelled}), checkpoint=Painter(), crf=0, label='corner')
  for with_it, without in zip(read_frames(labelled), read_frames(media['output']), strict=True):
    changed = np.argwhere(np.abs(with_it.astype(int) - without).max(-1) > 8)
    assert len(changed) and changed[:, 0].max() < 28 and changed[:, 1].min() > 10


@pytest.mark.parametrize(
  ('options', 'line'),
  [
    ({'label': 'everywhere'}, 'label must be one of none, corner'),
    ({'c2pa_cert': 'cert.pem'}, 'c2pa_cert and c2pa_key belong together'),
    ({'c2pa_cert': 'cert.pem', 'c2pa_key': 'key.pem', 'no_marks': True}, 'no_marks leaves out the signature'),
    ({'c2pa_cert': 'nowhere.pem', 'c2pa_key': 'key.pem'}, 'nowhere.pem'),
  ],
)
def test_marks_that_cannot_be_made(media, options, line):
  pytest.importorskip('c2pa')
  with pytest.raises(UserError, match=line):
    dub(**media, checkpoint=Painter(), **options)
  assert not media['output'].exists()
