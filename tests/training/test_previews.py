"""The pictures, videos and diagnoses that runs leave."""

from lpips_jax.media.video_reader import probe


def test_pictures_and_videos_are_left(trained_checkpoint, directory):
  assert (trained_checkpoint.parent / 'samples' / '0000002.png').stat().st_size > 0
  assert list((trained_checkpoint.parent / 'tensorboard').iterdir())
  clip = probe(trained_checkpoint.parent / 'samples' / '0000002.mp4')
  assert (clip.width, clip.height) == (64, 32)
  assert (directory / 'sync_expert' / 'diagnosis' / '0000002.png').stat().st_size > 0
