"""The table of leakage: a dubber that owes everything to the reference, one that owes nothing, and blends of both."""

from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest
from ml_collections import ConfigDict

from data_pipeline.corpora.talking_faces.clips import clip_record
from data_pipeline.corpora.talking_faces.oracle import true_frames
from data_pipeline.input import decode_clip
from lpips_jax.core.constants import FRAME_RATE, MEL_BANDS, MEL_RATE, WINDOW_FRAMES
from lpips_jax.evaluation import leakage, systems
from lpips_jax.evaluation.leakage import ORACLE, LeakageRow
from lpips_jax.evaluation.scorers import Scorers
from lpips_jax.evaluation.scoring import Score, ScoreCache, WorkItem, score_all
from lpips_jax.faces.mouth import CHEEK_COLUMNS, CHEEK_ROWS, MOUTH_COLUMNS, MOUTH_ROWS

SIZE, SECONDS, SPEAKERS = 48, 2.4, 4
SHARES = 0.0, 0.25, 0.5, 0.75, 1.0  # of the reference's lips in a blend
DARKNESS = 0.2  # of the mouth's part of a face, when it is wide open
FAINT = 0.02  # movements of that darkness which hardly count


class Reader:
  """Stands in for a sync expert: sees how dark the mouth is, and hears how far it should be open from `spoken`."""

  config = ConfigDict({'model': {'image_size': SIZE}})

  def __call__(self, windows, mels):
    dark = self._brightness(windows, CHEEK_ROWS, CHEEK_COLUMNS) - self._brightness(windows, MOUTH_ROWS, MOUTH_COLUMNS)
    heard = np.stack([part.mean(-1) for part in np.array_split(mels[:, 0], WINDOW_FRAMES, -1)], -1)
    return self._movement(dark), self._movement(DARKNESS * heard)

  def _brightness(self, windows, rows, columns):
    (top, bottom), (left, right) = ([round(share * SIZE) for share in shares] for shares in (rows, columns))
    return windows[:, :, top:bottom, left:right].mean((2, 3, 4))

  def _movement(self, x):
    x = x - x.mean(-1, keepdims=True)
    x = np.concatenate([x, np.full_like(x[:, :1], FAINT)], -1)  # what does not move is like what else does not
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def spoken(opening):
  """A mel (m, 80) that says how far the mouth is open."""
  times = np.arange(round(SECONDS * MEL_RATE)) / MEL_RATE
  return np.repeat(np.interp(times, (np.arange(len(opening)) + 0.5) / FRAME_RATE, opening)[:, None], MEL_BANDS, 1)


def blend(share):
  def make_dub(clip, references):
    leaking, perfect = leakage.copy_reference(clip, references), leakage.oracle(clip, references)
    return lambda speech: share * (leaking(speech) / 255) + (1 - share) * (perfect(speech) / 255)

  return make_dub


@pytest.fixture(scope='module')
def clips():
  records = [clip_record(1, 'test', speaker, 0, SECONDS, SIZE) for speaker in range(SPEAKERS)]
  clips = []
  for record in records:
    clip, truth = decode_clip(record, SIZE), cache(partial(true_frames, record, image_size=SIZE))
    clips.append(replace(clip, mel=spoken(clip.mouth_opening), audio=None, dubbed_truth=truth))
  return clips


@pytest.fixture(scope='module')
def found(clips, tmp_path_factory):
  """The table of the controls and of blends of both, as evaluations make it."""
  make_dubs = {f'{share:.2f}': blend(share) for share in SHARES}
  rows = [*(LeakageRow(name, 'current') for name in make_dubs), *leakage.table_rows([], with_oracle=True)]
  names = [row.system(setup) for row in rows for setup in systems.SETUPS]

  def read(number):
    other = clips[systems.other_speaker(number, [clip.speaker for clip in clips])]
    return leakage.candidates_of(clips[number], other, rows, make_dubs | leakage.make_dubs_of({}))

  items = [WorkItem(clip.name, names, partial(read, number)) for number, clip in enumerate(clips)]
  keys, score_cache = {name: name for name in names}, ScoreCache(tmp_path_factory.mktemp('leakage'))
  score_all(items, keys, Scorers(Reader()), score_cache, progress=False)
  return leakage.tabulate(rows, score_cache.select(keys, [clip.name for clip in clips]))


def mean(found, name, reference, key):
  return found.rows[LeakageRow(name, reference)][key].mean


def test_a_copied_reference_leaks_most_from_the_frame_that_is_edited(found):
  copied = partial(mean, found, 'copy_reference', 'current')
  # What is made from silence is the clip as it was filmed: its lips fit a sound that nobody was given.
  assert copied('sync_confidence_s') == copied('sync_confidence_matched') > 0.1
  assert copied('sync_confidence_discrepancy') > 0.5 * copied('sync_confidence_matched')
  assert copied('sync_distance_discrepancy') > 0.1
  assert copied('open_share') > 0.3 and copied('rest_deviation') > 0.5
  assert copied('leak_silent') == pytest.approx(1) and copied('leak_mismatched') == pytest.approx(1)
  assert copied('sync_confidence_s') > 2 * mean(found, 'copy_reference', 'elsewhere', 'sync_confidence_s')
  assert copied('sync_distance_s') < mean(found, 'copy_reference', 'elsewhere', 'sync_distance_s')


def test_a_mouth_at_rest_leaks_nothing_and_says_nothing(found):
  still = found.rows[LeakageRow('copy_reference', 'rest')]
  assert still['open_share'].mean == 0 and abs(still['leak_silent'].mean) < 0.4  # of the filmed mouth
  assert 'leak_matched' not in still
  assert still['sync_confidence_discrepancy'].mean < 0.05 and still['sync_confidence_matched'].mean < 0.1


def test_the_oracle_owes_nothing_to_the_references(found):
  oracle, leaker = (partial(mean, found, name, 'current') for name in (ORACLE, 'copy_reference'))
  assert oracle('sync_confidence_discrepancy') < 0.3 * leaker('sync_confidence_discrepancy')
  assert oracle('sync_confidence_matched') == leaker('sync_confidence_matched')
  assert oracle('open_share') == 0 and oracle('rest_deviation') < 0.15 * leaker('rest_deviation')
  assert oracle('sync_confidence_s') < 0.2 * leaker('sync_confidence_s')
  assert oracle('mouth_correlation_mismatched') > 0.85 > leaker('mouth_correlation_mismatched')
  assert abs(oracle('leak_mismatched')) < 0.4
  assert 'lower_half_psnr_mismatched' not in found.rows[LeakageRow(ORACLE, 'current')]  # it is the truth: equal frames


@pytest.mark.parametrize(
  'key', ['sync_confidence_s', 'sync_confidence_discrepancy', 'open_share', 'rest_deviation', 'leak_mismatched']
)
def test_the_more_of_the_reference_the_worse(found, key):
  of_blends = [mean(found, f'{share:.2f}', 'current', key) for share in SHARES]
  assert all(np.diff(of_blends) >= 0) and of_blends[-1] > of_blends[0], of_blends


@pytest.mark.parametrize('key', ['sync_distance_s', 'mouth_correlation_mismatched'])
def test_the_more_of_the_reference_the_less(found, key):
  of_blends = [mean(found, f'{share:.2f}', 'current', key) for share in SHARES]
  assert all(np.diff(of_blends) < 0), of_blends


def test_truth_of_foreign_words_and_of_silence(clips):
  candidates = systems.candidates_by_setup(
    clips[0], clips[1], 'current', leakage.copy_reference(clips[0], clips[0].frames)
  )
  silent, matched, mismatched = (candidates[setup]() for setup in systems.SETUPS)
  np.testing.assert_array_equal(silent.truth, clips[0].dubbed_truth(None))
  np.testing.assert_array_equal(mismatched.truth, clips[0].dubbed_truth(clips[1]))
  assert matched.truth is clips[0].frames and silent.speaking is clips[0].frames and matched.speaking is None
  assert silent.mel is matched.mel is clips[0].mel and mismatched.mel is clips[1].mel
  without = systems.candidates_by_setup(
    replace(clips[0], dubbed_truth=None), clips[1], 'current', lambda speech: clips[0].frames
  )
  assert without['silent']().truth is None and without['mismatched']().truth is None


def test_rows_of_the_table_have_names_of_their_own():
  rows = leakage.table_rows(['generated', 'wav2lip'], with_oracle=False)
  assert len(rows) == 9 and not any(row.dubber == ORACLE for row in rows)
  assert LeakageRow('wav2lip', 'rest').system('silent') == 'wav2lip/rest/silent'


def test_numbers_of_syncnet_bear_the_names_of_papers():
  row = LeakageRow('ours', 'current')
  confidences = {'silent': [1.0, 2.0], 'matched': [5.0, 8.0], 'mismatched': [6.0, 5.0]}
  scores = [
    Score('', row.system(setup), f'clip{k}', {'lse_c': value, 'lse_d': 10 - value, 'sync_confidence': 9.0})
    for setup, values in confidences.items()
    for k, value in enumerate(values)
  ]
  scores.append(Score('', row.system('silent'), 'clip2', {}, 'too short'))
  scores.append(Score('', row.system('matched'), 'clip3', {'lse_c': 100.0}))  # without a counterpart
  found = leakage.tabulate([row], scores)
  estimates = found.rows[row]
  assert estimates['lse_c_s'].mean == 1.5 and estimates['lse_d_s'].mean == 8.5
  assert estimates['lsd'].mean == estimates['lsd_d'].mean == 1.0 and estimates['lsd'].clips == 2
  assert estimates['lsd'].low == 0 and estimates['lsd'].high == 3  # the clips' differences are -1 and 3
  head, cells = leakage.table(found)
  assert head[:4] == ['system', 'reference', 'LSE-C_s ↓', 'LSE-D_s ↑'] and 'LSD ↓' in head and cells[0][0] == 'ours'
  assert leakage.as_json(found)['ours']['current']['lse_c_s']['mean'] == 1.5
  assert 'not comparable' not in leakage.markdown(found)
