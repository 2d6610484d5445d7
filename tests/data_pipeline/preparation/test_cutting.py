"""Cutting: timing, tracks and shots of the records, and the reasons for rejected clips."""

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest
from videos import SIDE, as_interlaced, beside, face_frames, set_matrix, write_mp4

from data_pipeline.preparation.cutting import CutSettings, cut
from data_pipeline.preparation.layouts import RawClip
from data_pipeline.records import decode_frames
from lpips_jax.faces.detect import make_detector

RATES = [Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction(50), Fraction(60)]
SMALL = CutSettings(crop_size=32)
WIDTH = 0.4  # seconds that a flash lasts


def whole_frame(frame):
  """A detector that takes the whole picture for a face."""
  height, width = frame.shape[:2]
  return np.array([[0, 0, width, height, 1]], np.float32)


def raw(path, name='who/00001'):
  return RawClip(name, name.partition('/')[0], 'train', path)


@pytest.fixture(scope='module')
def faces():
  """Two speakers of 1.2 s, frames and sound, and a detector."""
  return face_frames(0, 1.2), face_frames(1, 1.2), make_detector('cascade')


@pytest.mark.parametrize('rate', RATES)
def test_click_and_flash_stay_in_sync(tmp_path, rate):
  """Flashes that swell and fade, with a click at their middle, at times that have nothing to do with either grid."""
  middles = [0.5 + 0.7391 * k for k in range(8)]
  seconds = 6.6
  times = np.array([float(k / rate) for k in range(int(seconds * rate))])
  light = sum(np.clip(1 - np.abs(times - middle) / (WIDTH / 2), 0, None) for middle in middles)
  texture = np.random.default_rng(0).integers(0, 60, (4, 4, 3)).repeat(12, 0).repeat(12, 1)
  frames = [(30 + texture + 150 * level).astype(np.uint8) for level in light]
  samples = np.zeros(round(seconds * 44100), np.float32)
  for middle in middles:
    samples[round(middle * 44100) : round(middle * 44100) + 20] = 0.9
  path = write_mp4(tmp_path / 'v.mp4', frames, samples, rate, sound_rate=44100)

  [record] = cut(raw(path), whole_frame, SMALL).records
  assert abs(len(record['frames']) - 25 * len(times) / rate) <= 1
  assert len(record['audio']) == 640 * len(record['frames'])
  seen = decode_frames(record['frames'], range(len(record['frames']))).mean((1, 2, 3))
  heard = np.abs(record['audio'].astype(float))
  offsets = [_flash(seen, middle) - _click(heard, middle) for middle in middles]
  assert abs(np.mean(offsets)) <= 0.005
  assert max(map(abs, offsets)) <= float(1 / rate) / 2 + 200 / 16000


def _flash(seen, middle):
  """The middle of the light around a time, in seconds."""
  time = np.arange(len(seen)) / 25
  level = np.where(np.abs(time - middle) < 0.7 * WIDTH, seen - np.median(seen), 0)
  return float((time * level).sum() / level.sum())


def _click(heard, middle):
  first = round((middle - 0.2) * 16000)
  return (first + heard[first : first + 6400].argmax()) / 16000


@pytest.mark.parametrize('late', [Fraction(-3, 10), Fraction(3, 10)])
def test_sound_that_starts_before_or_after_the_picture_stays_where_it_was(tmp_path, late):
  """A click 1.5 s after the first frame: the sound track begins with it, later or, as the picture is late, before."""
  rng = np.random.default_rng(1)
  frames = [rng.integers(0, 255, (48, 48, 3)).astype(np.uint8)] * 75
  samples = np.zeros(48000, np.float32)
  samples[round((1.5 - max(late, 0)) * 16000) :][:20] = 0.9
  path = write_mp4(tmp_path / 'v.mp4', frames, samples, sound_start=max(late, Fraction(0)))
  [record] = cut(raw(path), whole_frame, SMALL).records
  first = 75 - len(record['frames'])  # frames without sound are left out, but for a tenth of a second
  assert first == (4 if late > 0 else 0)  # AAC begins 64 ms early, with silence
  assert abs(np.abs(record['audio'].astype(int)).argmax() - (1.5 - first / 25) * 16000) < 40


def test_a_face_becomes_a_record_of_its_crops(tmp_path, faces):
  (frames, samples), _, find = faces
  result = cut(raw(write_mp4(tmp_path / 'v.mp4', frames, samples)), find, SMALL)
  assert result.rejected == [] and result.seconds == pytest.approx(1.2)
  [record], [note] = result.records, result.notes
  assert (record['id'], record['speaker'], len(record['frames'])) == ('who/00001/0', 'who', 30)
  left, top, right, bottom = record['box'][10]
  assert note['face'] == pytest.approx(np.mean(record['box'][:, 3] - record['box'][:, 1]), abs=1)
  expected = cv2.resize(frames[10][max(top, 0) : bottom, max(left, 0) : right], (32, 32), interpolation=cv2.INTER_AREA)
  assert np.abs(decode_frames(record['frames'], [10])[0].astype(int) - expected).mean() < 8
  assert np.corrcoef(record['audio'], samples[: len(record['audio'])])[0, 1] > 0.98


def test_one_person_or_everybody_becomes_a_record(tmp_path, faces):
  (left, samples), (right, _), find = faces
  path = write_mp4(tmp_path / 'v.mp4', beside(left, right), samples)
  assert len(cut(raw(path), find, SMALL).records) == 1
  both = cut(raw(path), find, CutSettings(32, everybody=True)).records
  assert [record['id'] for record in both] == ['who/00001/0', 'who/00001/1']
  assert sorted(record['box'][:, 0].mean() > SIDE for record in both) == [False, True]
  assert all(len(record['frames']) == 30 for record in both)


def test_a_transcript_belongs_to_a_clip_that_is_seen_whole_and_words_to_their_part(tmp_path, faces):
  (first, samples), (second, _), find = faces
  said = tmp_path / 'v.txt'
  said.write_text('Text:  ONE TWO THREE\n\nWORD START END ASDSCORE\nONE 0.1 0.6 1\nTWO 0.7 0.9 1\nTHREE 1.0 1.5 1\n')
  whole = replace(raw(write_mp4(tmp_path / 'v.mp4', first, samples)), transcript=said)
  assert [record['text'] for record in cut(whole, find, SMALL).records] == ['ONE TWO THREE']
  cut_at_20 = write_mp4(tmp_path / 'cut.mp4', first[:20] + second[:25], np.tile(samples, 2)[: 45 * 640])
  parts = cut(replace(whole, path=cut_at_20), find, SMALL).records
  assert [record['text'] for record in parts] == ['ONE', 'THREE']
  assert parts[1]['words'][0].start == pytest.approx(0.2, abs=0.02)
  unknown = cut(replace(raw(cut_at_20), text='ABOUT'), find, SMALL).records
  assert [record['text'] for record in unknown] == ['', '']
  both = write_mp4(tmp_path / 'both.mp4', beside(first, second), samples)
  everybody = cut(replace(whole, path=both), find, CutSettings(32, everybody=True)).records
  assert [record['text'] for record in everybody] == ['', '']  # who says it?


def test_no_record_crosses_a_cut(tmp_path, faces):
  (first, samples), (second, _), find = faces
  path = write_mp4(tmp_path / 'v.mp4', first[:20] + second[:25], np.tile(samples, 2)[: 45 * 640])
  records = cut(raw(path), find, SMALL).records
  assert [len(record['frames']) for record in records] == [20, 25]
  whole = np.concatenate([record['audio'] for record in records])
  assert np.corrcoef(whole, np.tile(samples, 2)[: len(whole)])[0, 1] > 0.98


def test_a_still_picture_is_not_a_talking_face(tmp_path, faces):
  """At 5 frames a second, or where the clock jumps, one frame would stand for many."""
  (frames, samples), _, find = faces
  slow = cut(raw(write_mp4(tmp_path / 'slow.mp4', frames, np.tile(samples, 6), Fraction(5))), find, SMALL)
  assert slow.records == [] and 'fewer than 15 frames in a row' in slow.rejected[0][1]
  times = [k if k < 20 else k + 1000 for k in range(30)]
  path = write_mp4(tmp_path / 'jump.mp4', frames, np.tile(samples, 40), times=times)
  jump = cut(raw(path), find, CutSettings(32, min_frames=10))
  assert [len(record['frames']) for record in jump.records] == [20, 10] and jump.seconds == pytest.approx(
    1.31, abs=0.01
  )


def test_records_are_upright_and_deinterlaced(tmp_path):
  """An interlaced film, mirrored and on its side: `media.frames` shows it upright to all readers."""
  bars = [np.full((64, 64, 3), 40, np.uint8) for _ in range(40)]
  for k, frame in enumerate(bars):
    frame[:20] = 220
    frame[:, k : k + 8] = 220
  woven = [even.copy() for even in bars[::2]]
  for frame, odd in zip(woven, bars[1::2], strict=True):
    frame[1::2] = odd[1::2]
  path = write_mp4(tmp_path / 'v.mp4', map(as_interlaced, woven), np.zeros(12800), options={'flags': '+ildct+ilme'})
  set_matrix(path, 0, -1, -1, 0)
  [record] = cut(raw(path), whole_frame, SMALL).records
  seen = decode_frames(record['frames'], range(20))[10].mean(-1)
  assert seen[:, 24:].min() > 170  # the bright top is at the right
  assert abs(np.flatnonzero(seen[:, 4] > 130).mean() - (31 - (20 + 3.5) / 2)) < 1  # what was at the left is below
  assert abs(np.diff(seen[:, :20], axis=1)).mean() < 4


def test_unusable_clips_are_rejected_with_a_reason(tmp_path, faces):
  (frames, samples), _, find = faces
  good = write_mp4(tmp_path / 'good.mp4', frames, samples)
  (tmp_path / 'cut.mp4').write_bytes(good.read_bytes()[: good.stat().st_size // 2])
  (tmp_path / 'empty.mp4').touch()
  reasons = {
    'no face': write_mp4(tmp_path / 'wall.mp4', [np.full((SIDE, SIDE, 3), 90, np.uint8)] * 30, samples),
    'no sound track': write_mp4(tmp_path / 'mute.mp4', frames, None),
    'not a media file that can be read, or is cut short': tmp_path / 'cut.mp4',
    'is empty': tmp_path / 'empty.mp4',
    'does not exist': tmp_path / 'nowhere.mp4',
    'fewer than 15 frames in a row': write_mp4(tmp_path / 'short.mp4', frames[:12], samples[: 12 * 640]),
  }
  for reason, path in reasons.items():
    result = cut(raw(path), find, SMALL)
    assert result.records == []
    [(clip, actual)] = result.rejected
    assert clip == 'who/00001' and reason in actual and str(tmp_path) not in actual


def test_crops_prepared_for_wav2lip_are_used_as_they_are(tmp_path, faces):
  (frames, samples), _, _ = faces
  for k, frame in enumerate(frames):
    if k not in (4, 21):  # frames in which no face was found
      cv2.imwrite(str(tmp_path / f'{k}.jpg'), frame[..., ::-1])
  write_mp4(tmp_path / 'sound.mp4', frames, samples).rename(tmp_path / 'audio.wav')  # FFmpeg looks at what is inside
  result = cut(raw(tmp_path), None, CutSettings(32, min_frames=10))
  [record] = result.records
  assert len(record['frames']) == 16 and result.rejected == []
  expected = cv2.resize(frames[5], (32, 32), interpolation=cv2.INTER_AREA)
  assert np.abs(decode_frames(record['frames'], [0])[0].astype(int) - expected).mean() < 3
  assert np.corrcoef(record['audio'], samples[5 * 640 : 21 * 640])[0, 1] > 0.98
