"""The pictures, videos and diagnoses that runs leave."""

import pytest
from runs import run, tiny_config

from lpips_jax.media.video_reader import probe


def test_pictures_and_videos_are_left(trained_checkpoint, directory):
  assert (trained_checkpoint.parent / 'samples' / '0000002.png').stat().st_size > 0
  assert list((trained_checkpoint.parent / 'tensorboard').iterdir())
  clip = probe(trained_checkpoint.parent / 'samples' / '0000002.mp4')
  assert (clip.width, clip.height) == (64, 32)
  assert (directory / 'sync_expert' / 'diagnosis' / '0000002.png').stat().st_size > 0


@pytest.mark.slow
@pytest.mark.parametrize(('name', 'begins'), [('lip_reader', 'said: '), ('av_expert', 'lips are most like ')])
def test_networks_of_clips_leave_a_picture_and_a_line(name, begins, directory, tmp_path):
  run(tiny_config(name, directory), tmp_path)
  assert (tmp_path / 'samples' / '0000002.png').stat().st_size > 0
  assert (tmp_path / 'samples' / '0000002.txt').read_text().startswith(begins)
