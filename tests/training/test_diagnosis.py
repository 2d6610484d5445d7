"""The diagnosis names what is wrong with clips that were made wrong on purpose."""

import jax.numpy as jnp
import numpy as np
import pytest

from lpips_jax.evaluation import Clip
from lpips_jax.media.audio import MAX_VALUE
from lpips_jax.training import diagnosis
from lpips_jax.training.diagnosis import diagnose, picture, verdict

FRAMES, DIMENSIONS = 60, 16


class Oracle:
  """An expert whose embeddings tell the time at which a window was filmed or spoken, read from what it is given."""

  def __init__(self, knows=True):
    self.table = np.random.default_rng(0).standard_normal((200, DIMENSIONS))
    self.table /= np.linalg.norm(self.table, axis=1, keepdims=True)
    self.knows = knows

  def __call__(self, frames, mels):
    seen = np.round(255 * np.asarray(frames)[:, 0, 0, 0, 0]).astype(int)
    heard = np.round(np.asarray(mels)[:, 0, 0] * 100).astype(int)
    return self.table[seen], self.table[heard if self.knows else (heard * 7 + 50) % 200]

  def logits(self, cosines):
    return 10 * (jnp.asarray(cosines) - 0.5)


def clip(shift=0, name='c', still=False, silent=False):
  """A clip whose frame k is of colour k + 50, and whose speech says which frame it belongs to."""
  times = np.arange(FRAMES) + 50
  frames = np.broadcast_to((0 * times if still else times)[:, None, None, None], (FRAMES, 4, 4, 3)).astype(np.uint8)
  rows = np.arange(FRAMES * 80 // 25 + 20)
  spoken = (
    np.searchsorted([80 * k // 25 for k in range(FRAMES)], rows, 'right') - 1
  )  # the frame that each row starts in
  mel = np.repeat((spoken + 50 + shift)[:, None] / 100, 80, 1)
  if silent:
    mel = np.full_like(mel, -MAX_VALUE)
  return Clip(name, 's', frames, mel.astype(np.float32))


def found(clips, knows=True):
  oracle = Oracle(knows)
  return diagnose(oracle, oracle.logits, clips)


def test_offsets_are_those_of_the_clips():
  shifts = [0, 2, -3, 4, 0, 0]
  result = found([clip(shift) for shift in shifts])
  np.testing.assert_array_equal(result.offsets, shifts)
  assert result.shifted == 0.5
  assert '50% of the clips have their sound shifted, most by 2 to 3 frames' in verdict(result)


def test_clips_in_sync_are_fine():
  result = found([clip() for _ in range(3)])
  assert verdict(result).startswith('sound and picture agree')
  assert result.accepted[diagnosis.MAX_SHIFT] == 1 and result.accepted.sum() < 2
  assert result.accuracy[0] == 0.5 and result.accuracy[3:].min() > 0.95


def test_a_shift_of_all_is_named():
  assert '100% have their sound 2 frames ahead of the picture: a constant shift' in verdict(found([clip(2)] * 3))


@pytest.mark.parametrize(
  ('clips', 'complaint'),
  [
    ([clip(), clip()], 'sound may be that of other clips'),
    ([clip(silent=True), clip()], '50% of the clips are silent'),
    ([clip(still=True)] * 2, '100% do not move'),
  ],
)
def test_an_expert_that_tells_nothing_says_what_it_can(clips, complaint):
  said = verdict(found(clips, knows=False))
  assert 'tells nothing yet' in said and complaint in said


def test_picture():
  drawn = picture(found([clip(), clip(1)]))
  assert drawn.dtype == np.uint8 and drawn.ndim == 3 and drawn.std() > 10
