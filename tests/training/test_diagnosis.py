"""The diagnosis of clips with faults made on purpose: it names these faults, and nothing that chance would make."""

import jax.numpy as jnp
import numpy as np
import pytest

from lpips_jax.core.constants import MEL_MAX
from lpips_jax.evaluation import Clip
from lpips_jax.training import diagnosis
from lpips_jax.training.diagnosis import diagnose, picture, verdict

FRAMES, DIMENSIONS, APART = 45, 16, 20


class Oracle:
  """An expert whose embeddings encode the time at which a window was filmed or spoken, which it reads off its input.

  Only `share` of an embedding is that; the rest is noise, drawn for each window.
  """

  def __init__(self, share=1.0):
    self.share = share
    self.rng = np.random.default_rng(0)
    self.table = _unit(self.rng.standard_normal((256, DIMENSIONS)))

  def __call__(self, frames, mels):
    seen = np.round(255 * np.asarray(frames)[:, 0, 0, 0, 0]).astype(int)
    heard = np.round(np.asarray(mels)[:, 0, 0] * 100).astype(int)
    return self._noisy(self.table[seen]), self._noisy(self.table[heard % 256])

  def _noisy(self, embeddings):
    noise = _unit(self.rng.standard_normal(embeddings.shape))
    return _unit(self.share * embeddings + (1 - self.share) * noise)

  def logits(self, cosines):
    return 10 * (jnp.asarray(cosines) - 0.5)


def _unit(x):
  return x / np.linalg.norm(x, axis=1, keepdims=True)


def clip(number, shift=0, still=False, silent=False, frames=FRAMES):
  """A clip at its own time, encoded in the colours of its frames; its speech encodes the frame that it belongs to."""
  count = frames
  times = np.arange(count) + 10 + APART * number
  frames = np.broadcast_to((0 * times if still else times)[:, None, None, None], (count, 4, 4, 3)).astype(np.uint8)
  rows = np.arange(count * 80 // 25 + 20)
  spoken = np.searchsorted([80 * k // 25 for k in range(count)], rows, 'right') - 1  # the frame that each row starts in
  mel = np.repeat((spoken + times[0] + shift)[:, None] / 100, 80, 1)
  if silent:
    mel = np.full_like(mel, -MEL_MAX)
  return Clip(str(number), 's', frames, mel.astype(np.float32))


def clips(*shifts):
  return [clip(number, shift) for number, shift in enumerate(shifts)]


def found(clips, share=1.0, ranking=None):
  oracle = Oracle(share)
  return diagnose(oracle, oracle.logits, clips, ranking)


def test_offsets_are_found():
  shifts = [0, 2, -3, 4, 0, 0]
  result = found(clips(*shifts), ranking=0.9)
  np.testing.assert_array_equal(result.offsets, shifts)
  assert result.known.all() and result.shifted == 0.5
  assert '50% have their sound shifted, most by 2 to 3 frames' in verdict(result)


def test_clips_in_sync_are_fine():
  result = found(clips(0, 0, 0, 0))
  assert verdict(result).startswith('sound and picture agree')
  assert result.accepted[diagnosis.MAX_SHIFT] == 1 and result.accepted.sum() < 2
  assert result.accuracy[0] == 0.5 and result.accuracy[3:].min() > 0.95


@pytest.mark.parametrize('ranking', [0.9, None])  # of pairs none of which is in sync: 0.5
def test_a_shift_of_all_is_named(ranking):
  assert '100% have their sound 2 frames ahead of the picture' in verdict(found(clips(2, 2, 2, 2), ranking=ranking))


def test_chance_is_no_finding():
  result = found(clips(*[0] * 10), share=0.0)
  assert result.known.mean() <= 0.1
  assert 'says nothing' in verdict(result) and 'shifted, most by' not in verdict(result)


def test_an_expert_that_knows_a_little_invents_no_shifts():
  result = found(clips(*[0] * 10), share=0.45)
  assert result.known.mean() > diagnosis.MIN_KNOWN and result.shifted <= 0.1


def test_an_expert_that_learnt_clips_by_heart_is_not_believed():
  assert 'says nothing' in verdict(found(clips(0, 0, 0, 0), ranking=0.52))


def test_too_few_clips_give_no_shifts():
  assert not found(clips(3, 3, 3), ranking=0.9).known.any()


@pytest.mark.parametrize(
  ('clips', 'complaint'),
  [
    (clips(0, 0, 0, 0), 'sound may be that of other clips'),
    ([clip(0, silent=True), clip(1)], '50% of the clips are silent'),
    ([clip(0, still=True)] * 2, '100% do not move'),
  ],
)
def test_silence_and_stillness_are_named_without_a_useful_expert(clips, complaint):
  line = verdict(found(clips, share=0.0))
  assert 'says nothing' in line and complaint in line


def test_short_clips_leave_the_results_of_others_as_they_are():
  long = clips(0, 0, 0, 0)
  short = [clip(number, frames=frames) for number, frames in ((4, 5), (5, 12))]
  alone, together = found(long), found([*long, *short])
  assert np.isfinite(together.accepted).all() and np.isfinite(together.accuracy).all()
  np.testing.assert_allclose(together.accepted[[0, -1]], alone.accepted[[0, -1]])
  assert together.ranking > 0.9


def test_short_clips_alone_give_nothing_for_large_shifts():
  result = found([clip(number, frames=12) for number in range(4)])
  assert np.isfinite(result.accepted[8:23]).all() and np.isnan(result.accepted[[0, -1]]).all()
  assert result.accuracy[3] > 0.95
  verdict(result)
  picture(result)


def test_the_picture_shows_something():
  drawn = picture(found(clips(0, 1, 0, 0), ranking=0.9))
  assert drawn.dtype == np.uint8 and drawn.ndim == 3 and drawn.std() > 10
