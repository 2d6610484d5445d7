"""Wav2Lip's lists: pairs that are dubbed and scored, and those that are left out."""

import math
from fractions import Fraction
from functools import partial

import cv2
import numpy as np
import pytest
from videos import write_mp4

from lpips_jax import pretrained
from lpips_jax.core.errors import UserError
from lpips_jax.dubbing import generator as generator_module
from lpips_jax.evaluation import pairs, scoring
from lpips_jax.evaluation.scorers import Scorers
from lpips_jax.evaluation.systems import FILMED
from lpips_jax.media import video_reader


def count_generators(monkeypatch):
  """A list that grows with each network that is folded, compiled and warmed up, and threads of its own."""
  built, init = [], generator_module.BatchedGenerator.__init__

  def counted(self, *args):
    built.append(self)
    init(self, *args)

  monkeypatch.setattr(generator_module.BatchedGenerator, '__init__', counted)
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
  protocol = pairs.protocol(listed, {'ours': pretrained.load(trained_checkpoint)}, made, {}, 32, 'cascade')
  dubs = {item.name: item for item in protocol.items if item.systems == ('ours',)}
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


def test_pairs_are_dubbed_once(filmed, speakers, directory, trained_checkpoint, summarised, tmp_path, monkeypatch):
  listed = tmp_path / 'test.txt'
  listed.write_text('who/0 who/1\nwho/1.mp4 nobody\n')
  generator, built = pretrained.load(trained_checkpoint), count_generators(monkeypatch)
  threads = cv2.getNumThreads()
  found = pairs.read_pairs(listed, filmed, None)
  make = partial(pairs.protocol, found, {'ours': generator}, tmp_path / 'videos', {}, 32, 'cascade')
  scorers = Scorers(pretrained.load(directory / 'sync_expert'))
  result = summarised(make(), scorers)
  assert result.scored == {'ours': 1, FILMED: 1}
  assert result.skipped[FILMED] == {'no face was found': 1}
  assert 'shows no face' in next(iter(result.skipped['ours']))
  assert len(built) == 1 and cv2.getNumThreads() == threads
  (dubbed,) = (tmp_path / 'videos').rglob('*.mp4')
  assert dubbed.parent.name == f'ours-{generator.fingerprint}' and dubbed.name == '00000.mp4'
  written = dubbed.stat().st_mtime_ns
  (tmp_path / scoring.SCORES_FILE).unlink()
  ready = make().items[0].read()['ours']()
  assert dubbed.stat().st_mtime_ns == written
  whole = windows_of(1 + len(speakers[0][1]) // 200)
  assert len(ready.frames) == whole and len(ready.audio) == 640 * whole and video_reader.count_frames(dubbed) > whole

  peers = tmp_path / 'peer'
  peers.mkdir()
  dubbed.rename(peers / '0.mp4')
  protocol = pairs.protocol(found, {}, tmp_path / 'videos', {'peer': peers}, 32, 'cascade')
  assert summarised(protocol, scorers).scored == {'peer': 1, FILMED: 1}


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
