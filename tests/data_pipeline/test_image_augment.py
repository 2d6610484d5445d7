"""Image augmentation: each change does what its name says, alike for all frames; zeros change nothing."""

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from data_pipeline.corpora.talking_faces.clips import clip_record
from data_pipeline.image_augment import NO_IMAGE_AUGMENTATION, ImageAugmentation, ImageChange, _colour_matrix
from data_pipeline.records import decode_frames
from data_pipeline.windows import ExpertWindows, GeneratorWindows

SIZE = 32
EVERYTHING = ImageAugmentation(flip=0.5, colour=0.3, jpeg=0.5, crop=0.2)


@pytest.fixture(scope='module')
def record():
  return clip_record(0, 'train', 1, 0, seconds=1.0, image_size=SIZE)


@pytest.fixture(scope='module')
def frames(record):
  return decode_frames(record['frames'], range(5))


def in_colour(frames, brightness=1.0, contrast=1.0, saturation=1.0):
  return ImageChange(matrix=_colour_matrix(brightness, contrast, saturation))(frames).astype(float)


def assert_rounded(actual, expected):
  assert np.abs(actual - np.clip(expected, 0, 255)).max() < 0.8  # OpenCV counts in tenths of a level


def test_flip_mirrors_target_and_reference_alike(record):
  plain, flipped = (
    GeneratorWindows(SIZE, 2.0, image_augmentation=ImageAugmentation(flip=flip)).random_map(
      record, np.random.default_rng(0)
    )
    for flip in (0.0, 1.0)
  )
  for name in ('target', 'reference'):
    np.testing.assert_array_equal(flipped[name], plain[name][:, :, :, ::-1])
  for name in ('mel', 'window_mel'):
    np.testing.assert_array_equal(flipped[name], plain[name])


def test_flips_and_jpegs_are_as_frequent_as_asked():
  rng = np.random.default_rng(0)
  changes = [ImageAugmentation(flip=0.3, jpeg=0.2).draw(rng) for _ in range(2000)]
  assert 0.27 < np.mean([change.mirrored for change in changes]) < 0.33
  assert 0.17 < np.mean([change.quality is not None for change in changes]) < 0.23
  qualities = [change.quality for change in changes if change.quality is not None]
  assert 40 <= min(qualities) < 45 and 90 < max(qualities) <= 95


def test_brightness_multiplies(frames):
  assert_rounded(in_colour(frames, brightness=1.3), 1.3 * frames)


def test_contrast_stretches_about_middle_grey(frames):
  assert_rounded(in_colour(frames, contrast=0.7), 127.5 + 0.7 * (frames - 127.5))


def test_saturation_mixes_with_grey(frames):
  grey = (frames @ [0.299, 0.587, 0.114])[..., None]
  assert_rounded(in_colour(frames, saturation=0.6), grey + 0.6 * (frames - grey))
  assert_rounded(in_colour(frames, saturation=0.0), np.repeat(grey, 3, -1))


def test_colour_keeps_the_order_of_greys():
  greys = np.repeat(np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1), 3, -1)
  rng = np.random.default_rng(0)
  for _ in range(20):
    changed = ImageAugmentation(colour=0.3).draw(rng)(greys).reshape(256, 3).astype(int)
    assert (np.diff(changed, axis=0) >= 0).all() and changed[-1, 0] - changed[0, 0] > 90
    assert np.ptp(changed, axis=1).max() <= 1  # grey stays grey


def test_colour_changes_all_frames_by_one_map_within_the_range_asked_for():
  rng = np.random.default_rng(0)
  frames = np.random.default_rng(1).integers(60, 180, (1, SIZE, SIZE, 3), np.uint8)
  matrices = []
  for _ in range(50):
    change = ImageAugmentation(colour=0.1).draw(rng)
    alone, again = change(np.concatenate([frames, frames[:, ::-1]]))
    np.testing.assert_array_equal(alone[::-1], again)
    matrices.append(change.matrix)
  gain = np.array([matrix[:, :3].sum(1) for matrix in matrices])  # brightness times contrast
  assert 0.81 <= gain.min() < 0.95 and 1.05 < gain.max() <= 1.21
  np.testing.assert_allclose(gain, np.repeat(gain[:, :1], 3, 1))


def test_crop_keeps_the_shape_and_cuts_straight_and_no_more_than_asked():
  across = np.broadcast_to(np.arange(SIZE) * 7, (SIZE, SIZE))
  ramp = np.stack([across, across.T, np.zeros_like(across)], -1).astype(np.uint8)[None]
  rng = np.random.default_rng(0)
  sides = []
  for _ in range(100):
    change = ImageAugmentation(crop=0.25).draw(rng)
    left, top, side = change.window
    cut = change(ramp)
    assert cut.shape == ramp.shape and cut.dtype == np.uint8
    assert left >= 0 and top >= 0 and max(left, top) + side <= 1
    # The middle of pixel i lies at (i + 1/2) / SIZE of the part, which starts at `left` of the frame.
    for channel, begin, line in ((0, left, cut[0, 9, :, 0]), (1, top, cut[0, :, 9, 1])):
      wanted = np.clip((begin + side * (np.arange(SIZE) + 0.5) / SIZE) * SIZE - 0.5, 0, SIZE - 1) * 7
      assert np.abs(line - wanted).max() < 1.0, channel
    sides.append(side)
  assert 0.75 <= min(sides) < 0.77 and 0.98 < max(sides) <= 1


@pytest.mark.parametrize(('quality', 'least', 'most'), [(40, 22, 36), (95, 32, 50)])
def test_jpeg_takes_quality_and_keeps_the_picture(frames, quality, least, most):
  coded = ImageChange(quality=quality)(frames)
  assert coded.shape == frames.shape
  for before, after in zip(frames, coded, strict=True):
    assert least < peak_signal_noise_ratio(before, after) < most


def test_no_augmentation_leaves_frames_and_places_as_they_are(record, frames):
  assert NO_IMAGE_AUGMENTATION.draw(np.random.default_rng(0))(frames) is frames
  rng = np.random.default_rng(0)
  for _ in range(20):
    np.testing.assert_array_equal(NO_IMAGE_AUGMENTATION.draw(rng)(frames), frames)
  plain = ExpertWindows(SIZE, 3, 3).random_map(record, np.random.default_rng(0))
  for start, shown in zip(plain['start'][0], plain['frames'][0], strict=True):
    np.testing.assert_array_equal(shown, decode_frames(record['frames'], range(start, start + 5)))


def test_augmentation_leaves_the_places_of_windows(record):
  plain, changed = (
    ExpertWindows(SIZE, 3, 3, change).random_map(record, np.random.default_rng(5))
    for change in (NO_IMAGE_AUGMENTATION, EVERYTHING)
  )
  np.testing.assert_array_equal(changed['start'], plain['start'])
  np.testing.assert_array_equal(changed['mel'], plain['mel'])
  assert not np.array_equal(changed['frames'], plain['frames'])


def test_the_same_draw_makes_the_same_change_to_every_frame(frames):
  for seed in range(10):
    one, again = (EVERYTHING.draw(np.random.default_rng(seed)) for _ in range(2))
    np.testing.assert_array_equal(one(frames), again(frames))
    np.testing.assert_array_equal(one(frames)[2], one(frames[2:3])[0])
  others = {EVERYTHING.draw(np.random.default_rng(seed))(frames).tobytes() for seed in range(10)}
  assert len(others) == 10
