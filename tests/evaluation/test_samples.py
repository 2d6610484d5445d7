"""Samples: a frame of each of several speakers, and a clip of every system side by side."""

import numpy as np

from lpips_jax.evaluation import Candidate, samples
from lpips_jax.media import video_reader
from lpips_jax.provenance import reading

RNG = np.random.default_rng(0)


def test_each_speaker_is_shown_once():
  assert samples.speakers_shown(['a', 'a', 'b', 'a', 'c']) == [0, 2, 4]
  assert len(samples.speakers_shown([str(k) for k in range(20)])) == samples.MAX_SPEAKERS


def test_the_rows_show_inputs_what_was_generated_and_the_truth(clips, generator):
  masked, reference, generated, target = samples.picture_rows(clips[:2], [0, 1], {'ours': generator})
  assert masked.shape == reference.shape == generated.shape == target.shape == (2, 32, 32, 3)
  assert (masked[:, 16:] == 0).all()
  np.testing.assert_allclose(masked[:, :16], target[:, :16], atol=1e-6)
  np.testing.assert_allclose(target[1], clips[1].frames[37 % len(clips[1].frames)] / 255, atol=1e-6)


def test_candidates_stand_side_by_side_as_long_as_the_shortest(tmp_path):
  def maker(frames):
    pixels = RNG.integers(256, size=(frames, 16, 16, 3), dtype=np.uint8)
    return lambda: Candidate(pixels, np.zeros((1, 80), np.float32))

  samples.write_side_by_side(
    tmp_path / 'v.mp4', {'a': maker(12), 'b': maker(9)}, ['b', 'a'], np.zeros(12_000, np.int16)
  )
  info = video_reader.probe(tmp_path / 'v.mp4')
  assert (info.width, info.height) == (2 * samples.VIDEO_FACE_SIZE, samples.VIDEO_FACE_SIZE)
  assert video_reader.count_frames(tmp_path / 'v.mp4') == 9
  assert reading.read(tmp_path / 'v.mp4')[0].source_type.endswith('/compositeWithTrainedAlgorithmicMedia')


def test_captions_belong_to_files():
  assert samples.captions(['a', 'b'], ['c']) == {
    'samples.png': 'From the top: a, b.',
    'samples.mp4': 'From the left: c.',
  }
