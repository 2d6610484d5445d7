"""Options: values out of range are refused, with the name of the argument."""

import pytest
from painter import Painter

from lpips_jax.core.errors import UserError
from lpips_jax.dubbing import dub
from lpips_jax.dubbing.options import Options, from_text


@pytest.mark.parametrize(
  'options',
  [
    {'length': 'long'},
    {'pads': (1, 2)},
    {'batch_size': 0},
    {'detector': 'eyes', 'boxes': None},
    {'max_pixels': 0},
    {'max_minutes': float('nan')},
    {'codec': 'hevc', 'crf': 52},
  ],
)
def test_options_out_of_range_are_refused(media, options):
  with pytest.raises(UserError, match='must be') as caught:
    dub(**(media | options), checkpoint=Painter())
  assert '--' not in str(caught.value) and set(caught.value.options) & set(options)


def test_only_one_option_may_say_whom_to_dub():
  with pytest.raises(
    UserError, match='boxes, face_index, face_at, all_faces, speaker and turns each say whom to dub'
  ) as caught:
    Options(face_index=0, all_faces=True)
  assert caught.value.as_flags().startswith('--boxes, --face_index, --face_at, --all_faces, --speaker and --turns each')


def test_options_are_read_from_text():
  texts = {'pads': '0,1,0,0', 'face_at': '3,4.5,1', 'all_faces': 'True', 'crf': '7', 'length': 'video'}
  values = {'pads': [0, 1, 0, 0], 'face_at': [3, 4.5, 1], 'all_faces': True, 'crf': 7, 'length': 'video'}
  assert from_text(texts) == values
  with pytest.raises(UserError, match='pads must be four whole numbers, top,bottom,left,right, not 1,x'):
    from_text({'pads': '1,x'})
