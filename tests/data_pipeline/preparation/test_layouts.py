"""Layouts: the clips, speakers and splits found on disk; splits share no speaker."""

import os

import pytest

from data_pipeline.preparation.layouts import find_clips
from lpips_jax.core.errors import UserError


def touch(root, *names):
  for name in names:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def found(layout, root):
  return {clip.id: (clip.speaker, clip.split, clip.path.relative_to(root).as_posix()) for clip in clips(layout, root)}


def clips(layout, root):
  return find_clips(layout, root)[0]


def test_lrs2_follows_its_lists(tmp_path):
  touch(tmp_path / 'mvlrs_v1', 'main/61/00001.mp4', 'main/62/00001.mp4', 'pretrain/63/00007.mp4', 'main/99/00001.mp4')
  (tmp_path / 'train.txt').write_text('61/00001\n')
  (tmp_path / 'test.txt').write_text('62/00001 NF\n62/00002 MV\n')
  (tmp_path / 'pretrain.txt').write_text('63/00007\n\n')
  assert found('lrs2', tmp_path) == {
    'main/61/00001': ('61', 'train', 'mvlrs_v1/main/61/00001.mp4'),
    'main/62/00001': ('62', 'test', 'mvlrs_v1/main/62/00001.mp4'),
    'main/62/00002': ('62', 'test', 'mvlrs_v1/main/62/00002.mp4'),  # does not exist: cutting rejects it
    'pretrain/63/00007': ('63', 'pretrain', 'mvlrs_v1/pretrain/63/00007.mp4'),
  }
  assert found('lrs2', tmp_path / 'mvlrs_v1' / '..').keys() == found('lrs2', tmp_path).keys()


def test_lrs3_keeps_some_speakers_for_val_wherever_they_speak(tmp_path):
  speakers = [f's{k:02}' for k in range(40)]
  touch(tmp_path, *(f'trainval/{speaker}/50001.mp4' for speaker in speakers), 'test/t/50001.mp4', 'test/t/50002.mp4')
  touch(tmp_path, *(f'pretrain/{speaker}/00001.mp4' for speaker in speakers), 'pretrain/other/00001.mp4')
  splits = {clip.id: clip.split for clip in clips('lrs3', tmp_path)}
  val = {speaker for speaker in speakers if splits[f'trainval/{speaker}/50001'] == 'val'}
  assert len(val) == 2
  assert all(splits[f'pretrain/{speaker}/00001'] == ('val' if speaker in val else 'pretrain') for speaker in speakers)
  assert splits['pretrain/other/00001'] == 'pretrain' and splits['test/t/50002'] == 'test'


def test_lrw_has_its_splits_in_its_folders(tmp_path):
  touch(tmp_path, 'lipread_mp4/ABOUT/train/ABOUT_00001.mp4', 'lipread_mp4/ABOUT/val/ABOUT_00001.mp4')
  assert found('lrw', tmp_path) == {
    'ABOUT/train/ABOUT_00001': ('ABOUT/train/ABOUT_00001', 'train', 'lipread_mp4/ABOUT/train/ABOUT_00001.mp4'),
    'ABOUT/val/ABOUT_00001': ('ABOUT/val/ABOUT_00001', 'val', 'lipread_mp4/ABOUT/val/ABOUT_00001.mp4'),
  }


def test_a_folder_has_a_speaker_for_each_of_its_folders(tmp_path):
  touch(tmp_path, *(f'p{k}/a/b{n}.MOV' for k in range(5) for n in range(2)), 'alone.mkv', 'notes.txt', 'p0/.hidden.mp4')
  (tmp_path / 'p0' / 'circle').symlink_to(tmp_path)
  splits = found('folder', tmp_path)
  assert splits['p3/a/b1.MOV'][0] == 'p3' and splits['alone.mkv'][0] == 'alone' and len(splits) == 11
  by_split = {split: {speaker for speaker, s, _ in splits.values() if s == split} for split in ('train', 'val', 'test')}
  assert [len(by_split[split]) for split in ('train', 'val', 'test')] == [4, 1, 1]
  assert not (by_split['train'] & by_split['val']) and not (by_split['val'] & by_split['test'])


def test_a_single_speaker_is_in_the_training_split(tmp_path):
  touch(tmp_path, 'me.mp4')
  assert [clip.split for clip in clips('folder', tmp_path)] == ['train']


def test_wav2lip_directories_with_and_without_lists(tmp_path):
  root = tmp_path / 'prepared'
  touch(root, *(f's{k}/0000{n}/{name}' for k in range(4) for n in range(2) for name in ('0.jpg', 'audio.wav')))
  assert {clip.split for clip in clips('wav2lip', root)} == {'train', 'val', 'test'}
  touch(tmp_path, 'filelists/val.txt')
  (tmp_path / 'filelists' / 'train.txt').write_text('s1/00001\ns2/00000\n')
  assert found('wav2lip', root) == {
    's1/00001': ('s1', 'train', 's1/00001'),
    's2/00000': ('s2', 'train', 's2/00000'),
  }


def test_speakers_of_the_test_split_are_not_trained_on_whatever_the_lists_say(tmp_path):
  (tmp_path / 'mvlrs_v1').mkdir()
  (tmp_path / 'train.txt').write_text('a/1\na/2\nb/1\nd/1\n')
  (tmp_path / 'pretrain.txt').write_text('a/9\nc/9\n')
  (tmp_path / 'val.txt').write_text('b/2\ne/1\n')
  (tmp_path / 'test.txt').write_text('a/2\ne/2\n')
  kept, refused = find_clips('lrs2', tmp_path)
  assert {clip.id: clip.split for clip in kept} == {
    'main/a/2': 'test',  # in two lists
    'main/b/2': 'val',
    'main/d/1': 'train',
    'main/e/2': 'test',
    'pretrain/c/9': 'pretrain',
  }
  assert dict(refused) == {
    'main/a/1': 'its speaker is in the split test, too',
    'main/b/1': 'its speaker is in the split val, too',
    'main/e/1': 'its speaker is in the split test, too',
    'pretrain/a/9': 'its speaker is in the split test, too',
  }


def test_names_that_lead_elsewhere_or_collide_are_refused(tmp_path):
  (tmp_path / 'mvlrs_v1').mkdir()
  names = ['a/1', 'a//1', './a/1', 'b/../a/1', '../../a/1', '/a/1', 'long/' + 241 * 'x', 'a/1.npz/2', 'a/\u200b']
  (tmp_path / 'train.txt').write_text('\ufeff' + '\r\n'.join(names))
  kept, refused = find_clips('lrs2', tmp_path)
  assert [clip.id for clip in kept] == ['main/a/1']
  assert sorted(reason for _, reason in refused) == [
    'its folder has the name of the file of another clip',
    'its name has characters that cannot be printed',
    'its name is longer than 240 bytes',
    *['not a path within the corpus'] * 5,
  ]


def test_names_that_are_not_text_are_refused(tmp_path):
  touch(tmp_path, 'good.mp4', 'two\nlines.mp4')
  (tmp_path / 'bad').mkdir()
  open(os.fsencode(tmp_path) + b'/bad/\xff.mp4', 'w').close()
  open(os.fsencode(tmp_path) + b'/\xfe.mp4', 'w').close()  # its name is its speaker's, too
  kept, refused = find_clips('folder', tmp_path)
  assert [clip.id for clip in kept] == ['good.mp4']
  assert dict(refused).keys() == {'bad/\\udcff.mp4', '\\udcfe.mp4', 'two\nlines.mp4'}
  (tmp_path / 'train.txt').write_bytes(b'\xff\xfe\x00')
  with pytest.raises(UserError, match='is not a list of clips in UTF-8'):
    find_clips('lrs2', tmp_path)


def test_missing_input_is_reported(tmp_path):
  for layout, problem in {'lrs9': 'must be one of', 'lrs2': 'holds no clips', 'folder': 'holds no clips'}.items():
    with pytest.raises(UserError, match=problem):
      find_clips(layout, tmp_path)
  with pytest.raises(UserError, match='not a directory'):
    find_clips('folder', tmp_path / 'nowhere')


def test_transcripts_lie_beside_the_videos_and_a_word_is_the_name_of_its_directory(tmp_path):
  root = tmp_path / 'lrs2'
  touch(root, 'mvlrs_v1/main/61/00001.mp4')
  (root / 'train.txt').write_text('61/00001\n')
  assert clips('lrs2', root)[0].transcript == root / 'mvlrs_v1/main/61/00001.txt'
  touch(tmp_path / 'lrs3', 'test/t/50001.mp4')
  assert clips('lrs3', tmp_path / 'lrs3')[0].transcript == tmp_path / 'lrs3/test/t/50001.txt'
  touch(tmp_path / 'lrw', 'lipread_mp4/ABOUT/train/ABOUT_00001.mp4')
  [word] = clips('lrw', tmp_path / 'lrw')
  assert word.text == 'ABOUT' and word.transcript is None
  touch(tmp_path / 'own', 'me/a.b.mov', 'me/a.b.txt', 'me/c.mov')
  said, unsaid = clips('folder', tmp_path / 'own')
  assert said.transcript == tmp_path / 'own/me/a.b.txt' and unsaid.transcript is None and said.text == ''
