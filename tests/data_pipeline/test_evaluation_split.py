"""Evaluation on a corpus split: the systems that are scored, and what cannot be scored."""

import pytest

from data_pipeline import corpora, evaluation_split
from data_pipeline.corpora.talking_faces.clips import clip_record
from lpips_jax import pretrained
from lpips_jax.core.errors import UserError


@pytest.fixture
def one_speaker(monkeypatch):
  """Selects a corpus of two clips of one speaker."""
  records = [clip_record(0, 'val', 0, clip, seconds=1.0, image_size=32) for clip in range(2)]
  monkeypatch.setattr(corpora, 'source', lambda *_: records)
  return evaluation_split.SplitSelection('folder', 'val', None, 'data', None)


def test_one_speaker_is_scored_without_the_controls_that_need_another(one_speaker, trained_checkpoint):
  generators = {'base': pretrained.load(trained_checkpoint)}
  protocol = evaluation_split.protocol(one_speaker, generators, 32)
  assert list(protocol.systems) == ['base', 'base silent', 'base untrained', 'copy_reference', 'target']
  candidates = protocol.items[0].read()
  assert all(candidates[row]().frames.shape[1:] == (32, 32, 3) for row in protocol.items[0].systems)


def test_what_cannot_be_scored_is_reported(one_speaker):
  with pytest.raises(UserError, match='leakage is measured with the speech of another speaker, and all 2 clips'):
    evaluation_split.protocol(one_speaker, {}, 32, with_leakage=True)
  with pytest.raises(UserError, match='dataset=lrs2:1,lrw:2 is a mixture'):
    evaluation_split.protocol(one_speaker._replace(dataset='lrs2:1,lrw:2'), {}, 32)
