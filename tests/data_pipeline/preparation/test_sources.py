"""Sources: a bucket holds the same clips as a directory, and is listed once."""

import os

import pytest

from data_pipeline.preparation import sources
from data_pipeline.preparation.layouts import find_clips
from lpips_jax.core.errors import UserError
from lpips_jax.storage import stores, transfer

ARCHIVES = {
  'lrs2': ['mvlrs_v1/main/61/00001.mp4', 'train.txt', 'mvlrs_v1/test.txt'],
  'lrs3': ['trainval/a/1.mp4', 'trainval/b/1.mp4', 'pretrain/a/2.mp4', 'test/t/1.mp4', 'test/t/deep/er.mp4'],
  'lrw': ['lipread_mp4/ABOUT/train/ABOUT_00001.mp4', 'lipread_mp4/ABOUT/val/ABOUT_00001.mp4', 'lipread_mp4/x.mp4'],
  'folder': ['p0/a/b.MOV', 'p1/.hidden.mp4', 'p2/c.txt', 'alone.mkv', 'p[3]/d.mp4'],
  'wav2lip': ['s1/1/0.jpg', 's1/1/audio.wav', 's2/1/audio.wav', 's3/1/2/audio.wav'],
}


def archive(root, layout):
  for name in ARCHIVES[layout]:
    path = root / layout / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('61/00001\n62/00001\n' if name.endswith('.txt') else name)
  return root / layout


@pytest.mark.parametrize('layout', ARCHIVES)
def test_layouts_find_the_same_clips_in_a_bucket(layout, gs_bucket, tmp_path):
  here, there = archive(tmp_path, layout), f'{gs_bucket.url}/raw'
  transfer.upload(here, there)

  def clips(source):
    kept, refused = find_clips(layout, source)
    assert kept
    return [(clip.id, clip.speaker, clip.split, os.path.relpath(clip.path, source)) for clip in kept], refused

  assert clips(there) == clips(here)


def test_lists_of_wav2lip_may_lie_beside_the_source(gs_bucket):
  for name in ('raw/s1/1/audio.wav', 'raw/s2/1/audio.wav'):
    stores.write(f'{gs_bucket.url}/{name}', b'sound')
  stores.write(f'{gs_bucket.url}/filelists/val.txt', b's2/1\n')
  [clip], _ = find_clips('wav2lip', f'{gs_bucket.url}/raw')
  assert (clip.id, clip.split, clip.path) == ('s2/1', 'val', f'{gs_bucket.url}/raw/s2/1')


def test_a_clip_is_copied_while_it_is_cut(s3_bucket, tmp_path):
  url = s3_bucket.url
  stores.write(f'{url}/a/video.mp4', b'a video')
  stores.write(f'{url}/a/clip/0.jpg', b'a picture')
  stores.write(f'{url}/a/clip/audio.wav', b'sound')
  with sources.local_copy(f'{url}/a/video.mp4') as video, sources.local_copy(f'{url}/a/clip') as clip:
    assert video.name == 'video.mp4' and video.read_bytes() == b'a video'
    assert {path.name: path.read_bytes() for path in clip.iterdir()} == {'0.jpg': b'a picture', 'audio.wav': b'sound'}
  assert not video.exists() and not clip.exists()
  with sources.local_copy(f'{url}/a/nothing.mp4') as nothing:
    assert nothing.name == 'nothing.mp4' and not nothing.exists()
  with sources.local_copy(tmp_path) as same:
    assert same == tmp_path


def test_a_source_that_is_not_there_is_reported(gs_bucket):
  with pytest.raises(UserError, match=r'gs://.* is not a directory, or it is empty'):
    find_clips('lrs2', f'{gs_bucket.url}/nowhere')
