"""Options: values out of range are refused, with the name of the argument."""

import pytest
from painter import Painter

from lpips_jax.core.errors import UserError
from lpips_jax.dubbing import dub


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
  with pytest.raises(UserError, match='must be'):
    dub(**(media | options), checkpoint=Painter())
