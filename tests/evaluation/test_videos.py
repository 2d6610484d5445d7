"""Ready videos: what is cut out of them, and what is reported about those that cannot be used."""

import numpy as np
import pytest
from videos import write_mp4

from lpips_jax import pretrained
from lpips_jax.core.errors import UserError
from lpips_jax.evaluation import videos
from lpips_jax.evaluation.scorers import Scorers
from lpips_jax.evaluation.systems import FILMED
from lpips_jax.faces.detect import make_detector


@pytest.mark.parametrize('shift', [0, 2, -3, 8])
def test_sound_moves_by_as_many_frames(speakers, tmp_path, shift):
  frames, sound = speakers[0]
  moved = np.roll(sound, -640 * shift)  # ahead of the picture
  find = make_detector('cascade')
  there = videos.candidate_of(write_mp4(tmp_path / 'there.mp4', frames, sound), find, 32)
  here = videos.candidate_of(write_mp4(tmp_path / 'here.mp4', frames, moved), find, 32)
  np.testing.assert_array_equal(here.frames, there.frames)
  heard, expected = (
    x / np.linalg.norm(x) for x in (here.audio.astype(float), np.roll(there.audio, -640 * shift) * 1.0)
  )
  assert heard @ expected > 0.95  # the codec hears otherwise what it meets elsewhere


def test_a_candidate_has_a_crop_for_each_frame_and_the_sound_beside_it(speakers, tmp_path):
  frames, sound = speakers[0]
  candidate = videos.candidate_of(write_mp4(tmp_path / 'v.mp4', frames, sound), make_detector('cascade'), 32)
  count = len(candidate.frames)
  assert (
    abs(count - len(frames)) <= 1
    and len(candidate.audio) == 640 * count
    and len(candidate.mel) == 1 + len(candidate.audio) // 200
  )
  assert candidate.syncnet_crops.shape == (count, 224, 224, 3) and candidate.truth is None and not candidate.filmed


def test_syncnet_sees_its_own_square():
  """A ramp to the right and to the bottom says where the square lies: from -8 to 48 and from 20 to 76."""
  rows, columns = np.mgrid[:100, :100]
  frame = np.stack([columns, rows, np.full_like(rows, 7)], -1).astype(np.uint8)
  crop = videos.syncnet_crop(frame, np.array([10.0, 20, 30, 60]))
  np.testing.assert_array_equal(crop[:, :28], 110)  # eight pixels beyond the left edge
  assert crop[0, 112].tolist() == [20, 20, 7] and crop[-1, -1].tolist() == [47, 75, 7]


@pytest.mark.slow
def test_ready_videos_in_one_table(filmed, speakers, directory, summarised, tmp_path):
  made = tmp_path / 'made'
  frames, sound = speakers[0]
  write_mp4(made / 'who' / '0.mp4', [frame[::1] // 2 for frame in frames], sound)
  write_mp4(made / 'who' / '1.mp4', speakers[1][0][:-9], speakers[1][1])
  scorers = Scorers(pretrained.load(directory / 'sync_expert'))
  protocol = videos.protocol({'peer': made, 'whole': filmed}, filmed, 32, detector='cascade')
  found = summarised(protocol, scorers)
  assert list(found.systems) == ['peer', 'whole', FILMED] and found.scored == {'peer': 2, 'whole': 2, FILMED: 2}
  assert found.skipped['whole'] == {'no face was found': 1}
  assert found.systems['peer']['lower_half_psnr'].mean < 30 and 'lower_half_psnr' not in found.systems[FILMED]
  assert 'expert_accuracy' in found.systems[FILMED] and 'expert_accuracy' not in found.systems['whole']
  shown = protocol.write_samples(tmp_path)
  assert 'peer, whole, target' in shown['samples.png'] and all((tmp_path / name).is_file() for name in shown)
  longer = videos.protocol({'whole': filmed / 'who'}, made / 'who', 32, detector='cascade')
  assert summarised(longer, scorers).skipped['whole'] == {'the truth has fewer frames than what was made of it': 1}


def test_a_directory_without_videos(tmp_path):
  with pytest.raises(UserError, match='is no directory of videos'):
    videos.find_videos(tmp_path / 'none')
  with pytest.raises(UserError, match='holds no video'):
    videos.find_videos(tmp_path)


def test_a_problem_is_reported_without_the_name_of_the_video(tmp_path):
  path = tmp_path / 'clip.mp4'

  def make_detect():
    raise UserError(f'{path} is larger than max_pixels', 'max_pixels')

  with pytest.raises(UserError, match=r'^the video is larger than max_pixels') as caught:
    videos.makers('ours', path, make_detect, 32)
  assert caught.value.as_flags() == 'the video is larger than --max_pixels'
