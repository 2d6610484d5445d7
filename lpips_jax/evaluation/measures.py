"""Measures: the columns of the table, what weighs a clip in them, and which scorer takes them."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lpips_jax.metrics.reading import errors

Scores = dict[str, float | None]  # by measure; None where the measure has no value, such as the PSNR of equal frames


class Measure(NamedTuple):
  """A column of the table.

  Attributes:
    title: the column heading.
    higher_is_better: None if neither direction is better.
    weight: the score by which a clip counts in the mean, such as the number of sounds that an error rate is of; clips
      count alike without one.
  """

  title: str
  higher_is_better: bool | None = None
  weight: str | None = None


MEASURES = {
  'lower_half_psnr': Measure('PSNR, dB', True),
  'lower_half_ssim': Measure('SSIM', True),
  'perceptual': Measure('LPIPS', False),
  'fid': Measure('FID', False),
  'lse_c': Measure('LSE-C', True),
  'lse_d': Measure('LSE-D', False),
  'lse_offset': Measure('offset, frames'),
  'sync_confidence': Measure('sync confidence', True),
  'sync_distance': Measure('sync distance', False),
  'sync_offset': Measure('sync offset, frames'),
  'avs_u': Measure('AVS_u', True),
  'avs_m': Measure('AVS_m', True),
  'avs_v': Measure('AVS_v', True),
  'mouth_correlation': Measure('mouth, correlation', True),
  'mouth_motion': Measure('mouth, motion'),
  'leak': Measure('mouth, leak', False),
}
GROUPS = (  # measures that stay together where a wide table is divided
  ('lower_half_psnr', 'lower_half_ssim', 'perceptual', 'fid'),
  ('lse_c', 'lse_d', 'lse_offset'),
  ('sync_confidence', 'sync_distance', 'sync_offset'),
  ('avs_u', 'avs_m', 'avs_v'),
  ('mouth_correlation', 'mouth_motion', 'leak'),
)
MOST_COLUMNS = 4  # of a table that a page need not break
BY_SYNCNET = 'lse_c', 'lse_d', 'lse_offset'
EXPERT_MEASURES = 'expert_accuracy', 'expert_ranking', 'offset_correct'  # of the sync expert, on filmed clips
BY_SYNC_EXPERT = 'sync_confidence', 'sync_distance', 'sync_offset', *EXPERT_MEASURES
AV_RANKING = 'av_ranking'  # of the audio-visual expert, on filmed clips
SILENCE_MEASURES = 'open_share', 'rest_deviation'  # of candidates made from silence: `lpips_jax.metrics.leakage`


def reading_measure(unit: str, reader: str) -> str:
  """Returns the measure of a reader's errors in a unit such as 'phoneme'; '' is the name of the only reader."""
  return f'{unit}_error_by_{reader}' if reader else f'{unit}_error'


def read_count(unit: str, reader: str) -> str:
  """Returns the score that is the number of units which the lips should say."""
  return reading_measure(unit, reader).replace('error', 'count', 1)


def reading_measures(reader: str, alphabet: str) -> dict[str, Measure]:
  """Returns the columns of a lip reader, by its name and the alphabet that it writes."""
  named = f', {reader}' if reader else ''
  return {
    reading_measure(unit, reader): Measure(f'{unit} error{named}', False, read_count(unit, reader))
    for unit in errors((), (), alphabet)
  }


def with_readers(alphabets: Iterable[tuple[str, str]]) -> dict[str, Measure]:
  """Returns all columns in the order of the table, those of lip readers, (name, alphabet) each, at the end."""
  columns = dict(MEASURES)
  for reader, alphabet in alphabets:
    columns |= reading_measures(reader, alphabet)
  return columns


def in_narrow_tables(measures: Sequence[str]) -> list[list[str]]:
  """Divides the measures of a table, in order, among tables that fit on a page; those of `GROUPS` stay together."""
  grouped = {measure for group in GROUPS for measure in group}
  others = [measure for measure in measures if measure not in grouped]
  groups = [*GROUPS, *(others[k : k + MOST_COLUMNS] for k in range(0, len(others), MOST_COLUMNS))]
  parts: list[list[str]] = [[]]
  for group in groups:
    present = [measure for measure in measures if measure in group]
    if parts[-1] and len(parts[-1]) + len(present) > MOST_COLUMNS:
      parts.append([])
    parts[-1] += present
  return parts
