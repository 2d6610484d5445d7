"""Ready videos and pair lists: what is cut out of them, and what is said of those that cannot be used."""

import gc
import math
import threading
import weakref
from fractions import Fraction
from functools import partial

import cv2
import numpy as np
import pytest
from videos import face_frames, write_mp4

from lpips_jax import pretrained
from lpips_jax.core.errors import UserError
from lpips_jax.dubbing import generator as generator_module
from lpips_jax.evaluation import pairs, scoring, summary, videos
from lpips_jax.evaluation.scorers import Scorers
from lpips_jax.evaluation.systems import FILMED
from lpips_jax.faces.detect import make_detector
from lpips_jax.media import video_reader

CASCADE = {'detector': 'cascade', 'detector_model': None}
SECONDS = 1.2


@pytest.fixture(scope='module')
def speakers():
  return [face_frames(number, SECONDS) for number in range(2)]


@pytest.fixture(scope='module')
def filmed(speakers, tmp_path_factory):
  """Two videos, and one without a face."""
  directory = tmp_path_factory.mktemp('filmed')
  for number, (frames, sound) in enumerate(speakers):
    write_mp4(directory / 'who' / f'{number}.mp4', frames, sound)
  nobody = [np.full_like(frame, 90) for frame in speakers[0][0]]
  write_mp4(directory / 'nobody.mp4', nobody, speakers[0][1])
  return directory


def scored(protocol, scorers, tmp_path):
  keys = {system: scoring.key_of(rests_on=rests_on) for system, rests_on in protocol.systems.items()}
  score_cache = scoring.ScoreCache(tmp_path)
  scoring.score(protocol.entries, keys, scorers, score_cache, progress=False)
  rows = score_cache.rows(keys, list(dict.fromkeys(entry.name for entry in protocol.entries)))
  return summary.summarise(list(keys), rows, score_cache, {})


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


def test_a_take(speakers, tmp_path):
  frames, sound = speakers[0]
  candidate = videos.candidate_of(write_mp4(tmp_path / 'v.mp4', frames, sound), make_detector('cascade'), 32)
  count = len(candidate.frames)
  assert (
    abs(count - len(frames)) <= 1
    and len(candidate.audio) == 640 * count
    and len(candidate.mel) == 1 + len(candidate.audio) // 200
  )
  assert candidate.tracked.shape == (count, 224, 224, 3) and candidate.truth is None and not candidate.filmed


def test_syncnet_sees_its_own_square():
  """A ramp to the right and to the bottom says where the square lies: from -8 to 48 and from 20 to 76."""
  rows, columns = np.mgrid[:100, :100]
  frame = np.stack([columns, rows, np.full_like(rows, 7)], -1).astype(np.uint8)
  crop = videos.syncnet_crop(frame, np.array([10.0, 20, 30, 60]))
  np.testing.assert_array_equal(crop[:, :28], 110)  # eight pixels beyond the left edge
  assert crop[0, 112].tolist() == [20, 20, 7] and crop[-1, -1].tolist() == [47, 75, 7]


def test_ready_videos_in_one_table(filmed, speakers, directory, tmp_path):
  made = tmp_path / 'made'
  frames, sound = speakers[0]
  write_mp4(made / 'who' / '0.mp4', [frame[::1] // 2 for frame in frames], sound)
  write_mp4(made / 'who' / '1.mp4', speakers[1][0][:-9], speakers[1][1])
  scorers = Scorers(pretrained.load(directory / 'sync_expert'))
  protocol = videos.protocol({'peer': made, 'whole': filmed}, filmed, CASCADE, None, 32)
  found = scored(protocol, scorers, tmp_path)
  assert list(found.systems) == ['peer', 'whole', FILMED] and found.scored == {'peer': 2, 'whole': 2, FILMED: 2}
  assert found.skipped['whole'] == {'no face was found': 1}
  assert found.systems['peer']['lower_half_psnr'].mean < 30 and 'lower_half_psnr' not in found.systems[FILMED]
  assert 'expert_accuracy' in found.systems[FILMED] and 'expert_accuracy' not in found.systems['whole']
  shown = protocol.write_samples(tmp_path)
  assert 'peer, whole, target' in shown['samples.png'] and all((tmp_path / name).is_file() for name in shown)
  longer = videos.protocol({'whole': filmed / 'who'}, made / 'who', CASCADE, None, 32)
  assert scored(longer, scorers, tmp_path).skipped['whole'] == {
    'the truth has fewer frames than what was made of it': 1
  }


def count_generators(monkeypatch):
  """A list that grows with each network that is folded, compiled and warmed up, and threads of its own."""
  built, init = [], generator_module.Generator.__init__

  def counted(self, *args):
    built.append(self)
    init(self, *args)

  monkeypatch.setattr(generator_module.Generator, '__init__', counted)
  return built


def windows_of(mel_frames, rate=25):
  """Wav2Lip's rule, step by step: frames go on for as long as a whole window of 16 is left."""
  count = 0
  while math.floor(count * Fraction(80) / rate) + 16 <= mel_frames:
    count += 1
  return count


@pytest.mark.parametrize('rate', [25, Fraction(30_000, 1001), Fraction(50)])
def test_there_are_as_many_frames_as_whole_windows(rate):
  for mel_frames in range(501):
    assert pairs.frames_of_speech(mel_frames, rate) == windows_of(mel_frames, rate), mel_frames


def test_pairs_that_the_protocol_leaves_out(speakers, directory, trained_checkpoint, tmp_path):
  frames, sound = speakers[0]
  whole = windows_of(1 + len(sound) // 200)
  gone = [np.full_like(frame, 90) for frame in frames]
  write_mp4(tmp_path / 'words.mp4', frames, sound)
  write_mp4(tmp_path / 'short.mp4', frames[: whole - 1], sound)
  write_mp4(tmp_path / 'enough.mp4', frames[:whole], sound)
  write_mp4(tmp_path / 'leaves.mp4', frames[:8] + gone[8:], sound)
  write_mp4(tmp_path / 'brief.mp4', frames[:3], sound[: 3 * 640 - 400])
  (tmp_path / 'list.txt').write_text('words short\n \nwords enough\nwords leaves\n\nbrief words\n')
  listed = pairs.read_pairs(tmp_path / 'list.txt', tmp_path, None)
  made = tmp_path / 'videos'
  protocol = pairs.protocol(listed, {'ours': pretrained.load(trained_checkpoint)}, made, {}, CASCADE, 32)
  dubs = {entry.name: entry for entry in protocol.entries if entry.systems == ('ours',)}
  reasons = {'00000': 'shorter than the words', '00002': 'not seen in every frame', '00003': 'shorter than 0.2 s'}
  for place, why in reasons.items():
    with pytest.raises(UserError, match=why):
      dubs[place].read()
  assert len(dubs['00001'].read()['ours']().frames) == whole
  assert [path.name for path in made.rglob('*.mp4')] == ['00001.mp4']
  (known,) = made.rglob('00002.json')
  written = known.stat().st_mtime_ns
  with pytest.raises(UserError, match='not seen in every frame'):
    dubs['00002'].read()
  assert known.stat().st_mtime_ns == written  # it is not dubbed again to find that out


def test_a_generator_that_nobody_needs_leaves_no_threads(trained_checkpoint):
  before = set(threading.enumerate())
  made = generator_module.Generator(pretrained.load(trained_checkpoint), 2, 'float32')
  of_its_own = [x for x in threading.enumerate() if x not in before and x.name.startswith('generator')]
  assert of_its_own
  made = weakref.ref(made)
  gc.collect()
  assert made() is None
  for thread in of_its_own:
    thread.join(timeout=5)
  assert not any(thread.is_alive() for thread in of_its_own)


def test_pairs_are_dubbed_once(filmed, directory, trained_checkpoint, tmp_path, monkeypatch):
  listed = tmp_path / 'test.txt'
  listed.write_text('who/0 who/1\nwho/1.mp4 nobody\n')
  generator, built = pretrained.load(trained_checkpoint), count_generators(monkeypatch)
  threads = cv2.getNumThreads()
  found = pairs.read_pairs(listed, filmed, None)
  make = partial(pairs.protocol, found, {'ours': generator}, tmp_path / 'videos', {}, CASCADE, 32)
  scorers = Scorers(pretrained.load(directory / 'sync_expert'))
  result = scored(make(), scorers, tmp_path)
  assert result.scored == {'ours': 1, FILMED: 1}
  assert result.skipped[FILMED] == {'no face was found': 1}
  assert 'shows no face' in next(iter(result.skipped['ours']))
  assert len(built) == 1 and cv2.getNumThreads() == threads
  (dubbed,) = (tmp_path / 'videos').rglob('*.mp4')
  assert dubbed.parent.name == f'ours-{generator.fingerprint}' and dubbed.name == '00000.mp4'
  written = dubbed.stat().st_mtime_ns
  (tmp_path / scoring.ROWS).unlink()
  ready = make().entries[0].read()['ours']()
  assert dubbed.stat().st_mtime_ns == written
  whole = windows_of(1 + round(SECONDS * 16_000) // 200)
  assert len(ready.frames) == whole and len(ready.audio) == 640 * whole and video_reader.count_frames(dubbed) > whole

  peers = tmp_path / 'peer'
  peers.mkdir()
  dubbed.rename(peers / '0.mp4')
  protocol = pairs.protocol(found, {}, tmp_path / 'videos', {'peer': peers}, CASCADE, 32)
  assert scored(protocol, scorers, tmp_path).scored == {'peer': 1, FILMED: 1}


@pytest.mark.parametrize(
  'content, message',
  [
    (b'', 'has no lines'),
    (b'who/0\n', 'line 1 is not "audio video"'),
    (b'who/0 who/1\nwho/0 who/7\n', 'line 2 names who/7'),
    (b'\xff\xfe', 'is not text'),
  ],
)
def test_bad_lists(filmed, tmp_path, content, message):
  (tmp_path / 'list.txt').write_bytes(content)
  with pytest.raises(UserError, match=message):
    pairs.read_pairs(tmp_path / 'list.txt', filmed, None)


def test_a_directory_without_videos(tmp_path):
  with pytest.raises(UserError, match='is no directory of videos'):
    videos.find_videos(tmp_path / 'none')
  with pytest.raises(UserError, match='holds no video'):
    videos.find_videos(tmp_path)
