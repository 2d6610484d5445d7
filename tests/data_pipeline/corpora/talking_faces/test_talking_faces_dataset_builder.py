"""The builder of the embedded corpus: what it stores is what is drawn."""

import itertools
import sys

import numpy as np

from data_pipeline.corpora.talking_faces.clips import SPLITS, clip_record, draw_speaker
from data_pipeline.corpora.talking_faces.talking_faces_dataset_builder import (
  TINY,
  Builder,
  _in_parallel,
  fresh_test_config,
)
from lpips_jax.audio.loudness import mel_of
from lpips_jax.core.constants import FRAME_RATE


def test_builds_and_reads_without_tensorflow(tmp_path):
  builder = Builder(config='tiny', data_dir=tmp_path, file_format='array_record')
  builder.download_and_prepare()
  assert 'tensorflow' not in sys.modules
  for split in SPLITS:
    source = builder.as_data_source(split)
    assert len(source) == TINY.speakers[split] * TINY.clips[split]
  numbers = list(itertools.product(range(TINY.speakers['train']), range(TINY.clips['train'])))
  source = builder.as_data_source('train')
  for stored, (speaker, clip) in zip([source[i] for i in range(len(source))], numbers, strict=True):
    drawn = clip_record(TINY.seed, 'train', speaker, clip, TINY.seconds, TINY.image_size)
    assert stored['id'].decode() == drawn['id'] and stored['speaker'].decode() == drawn['speaker']
    assert list(stored['frames']) == drawn['frames']
    assert [name.decode() for name in stored['sounds']] == drawn['sounds']
    for name in ('audio', 'mel', 'box', 'mouth_opening', 'gestures', 'sound_ends'):
      np.testing.assert_array_equal(stored[name], drawn[name], err_msg=name)
      assert stored[name].dtype == drawn[name].dtype
  n_frames = round(TINY.seconds * FRAME_RATE)
  assert stored['box'].shape == (n_frames, 4) and len(stored['mouth_opening']) == n_frames == len(stored['frames'])
  assert len(stored['audio']) == 640 * n_frames
  assert stored['gestures'].shape == (n_frames, 5) and stored['sound_ends'][-1] == 8 * n_frames
  np.testing.assert_allclose(stored['mel'], mel_of(stored['audio']), atol=1e-6)


def test_processes_give_the_same_records_in_the_same_order():
  jobs = [(0, 'val', speaker, 0, 0.2, 32) for speaker in range(6)]
  for made, job in zip(_in_parallel(jobs), jobs, strict=True):
    alone = clip_record(*job)
    assert made['id'] == alone['id'] and made['frames'] == alone['frames']


def test_a_fresh_test_split_has_new_speakers_and_its_own_place(tmp_path):
  config = fresh_test_config(TINY, seed=11)
  builder = Builder(config=config, data_dir=tmp_path, file_format='array_record')
  builder.download_and_prepare()
  assert list(builder.info.splits) == ['test']
  assert '11' in builder.info.full_name
  speakers = {record['speaker'].decode() for record in builder.as_data_source('test')}
  assert speakers == {draw_speaker(11, 'test', number).name for number in range(TINY.speakers['test'])}
