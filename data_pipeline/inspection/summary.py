"""A summary of a corpus: measures of its clips, and what is wrong with them."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

from data_pipeline.records import Record, RecordSource, decode_frames, text
from lpips_jax.core.constants import FRAME_RATE, MEL_HOP, SAMPLES_PER_FRAME, WINDOW_FRAMES

SHORT_FRAMES = 2 * WINDOW_FRAMES  # in shorter clips the reference window shares frames with the target
MIN_LEVEL_DBFS = -100.0  # the level of silence, which has none
SILENT_DBFS = -60.0
CLIPPED_SHARE = 1e-3  # of samples at either end of their range; a loud recording touches them now and then
UNREADABLE = 'cannot be read'
MEASURES = {  # a measure -> its step, if it is discrete
  'length (s)': 1 / FRAME_RATE,
  'crop side (px)': 1,
  'box height (px)': None,
  'audio level (dBFS)': None,
}


@dataclass
class CorpusSummary:
  """Measures and problems of the clips of a corpus; it fits into memory whatever the size of the corpus.

  Attributes:
    measures: for each of `MEASURES`, the values of all clips that have one and could be read.
    speakers: the names of all speakers.
    problems: the ids of the clips that have a problem, by problem.
    usable: indices of the clips from which windows can be cut.
    reach: (right, bottom), the furthest that any box reaches, in pixels.
  """

  measures: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in MEASURES})
  speakers: set[str] = field(default_factory=set)
  problems: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
  usable: list[int] = field(default_factory=list)
  reach: tuple[int, int] = (1, 1)

  def counts(self) -> str:
    """Returns a line with the number of clips and speakers and the total length."""
    lengths = self.measures['length (s)']
    return f'{len(lengths):,} clips of {len(self.speakers):,} speakers, {sum(lengths) / 3600:.3f} h'

  def statistics(self) -> list[tuple[str, float, float, float]]:
    """Returns (measure, least, median, greatest) for each measure that any clip has."""
    return [
      (name, float(np.min(values)), float(np.median(values)), float(np.max(values)))
      for name, values in self.measures.items()
      if values
    ]

  def problem_lines(self, max_named: int) -> list[str]:
    """Returns a line for each kind of problem, with the ids of the first `max_named` clips that have it."""
    lines = []
    for problem, names in self.problems.items():
      more = f', and {len(names) - max_named:,} more' if len(names) > max_named else ''
      lines.append(f'{problem}: {len(names):,}: {", ".join(names[:max_named])}{more}')
    return lines or ['no problems found']

  def add_unreadable(self, name: str, error: Exception) -> None:
    """Adds the problem that a clip cannot be read."""
    self.problems[UNREADABLE].append(' '.join(f'{name} ({type(error).__name__}: {error})'.split()))


def summarise(source: RecordSource, indices: Iterable[int]) -> CorpusSummary:
  """Reads the clips of these indices one after the other; a single frame of each is decoded."""
  summary, ids = CorpusSummary(), Counter[str]()
  for index in tqdm(indices, 'reading', unit='clip', leave=False, disable=None):
    name = f'record {index}'
    try:
      record = source[index]
      name = text(record['id'])
      _add_clip(record, name, summary)
    except Exception as error:  # a damaged record may make the libraries that read it raise anything
      summary.add_unreadable(name, error)
      continue
    ids[name] += 1
    if len(record['frames']) >= WINDOW_FRAMES:
      summary.usable.append(index)
  repeated = [f'{name} ({times} times)' for name, times in ids.items() if times > 1]
  if repeated:
    summary.problems['id that several clips have'] = repeated
  return summary


def spread_indices(length: int, limit: int | None) -> list[int]:
  """Returns the indices of at most `limit` of `length` clips, spread evenly: neighbours often share a speaker."""
  number = min(length, limit or length)
  return [k * length // number for k in range(number)]


def statistics_as_text(summary: CorpusSummary) -> list[str]:
  """Returns the lines of a table of the measures."""
  lines = [f'{name:20}' + ''.join(f'{value:10.2f}' for value in values) for name, *values in summary.statistics()]
  return [f'{"":20}{"least":>10}{"median":>10}{"greatest":>10}', *lines]


def _add_clip(record: Record, name: str, summary: CorpusSummary) -> None:
  """Adds a clip to the summary; if this raises, nothing of the clip has been added."""
  frames, audio, boxes, mel = len(record['frames']), record['audio'], record['box'], record['mel']
  level = _level(audio)
  measures = {
    'length (s)': frames / FRAME_RATE,
    'crop side (px)': decode_frames(record['frames'], [frames // 2]).shape[1],
    'audio level (dBFS)': level,
  }
  if len(boxes):
    measures['box height (px)'] = float(np.mean(boxes[:, 3] - boxes[:, 1]))
  speaker, reach = text(record['speaker']), _furthest(summary.reach, boxes)
  problems = {
    f'shorter than {SHORT_FRAMES} frames': frames < SHORT_FRAMES,
    f'silent, below {SILENT_DBFS:g} dBFS': level < SILENT_DBFS,
    'clipped sound': len(audio) > 0 and np.mean((audio == 32767) | (audio == -32768)) >= CLIPPED_SHARE,
    'not as many boxes as frames': len(boxes) != frames,
    'sound not as long as the frames': abs(len(audio) - frames * SAMPLES_PER_FRAME) > SAMPLES_PER_FRAME,
    # The mel of a part of a clip may have a row more: see `data_pipeline.records.part_of_record`.
    'mel not as long as the sound': abs(len(mel) - 1 - len(audio) // MEL_HOP) > 1,
  }
  summary.speakers.add(speaker)
  summary.reach = reach
  for measure, value in measures.items():
    summary.measures[measure].append(value)
  for problem, present in problems.items():
    if present:
      summary.problems[problem].append(name)


def _level(audio: np.ndarray) -> float:
  """Returns the root mean square of int16 sound in dB relative to full scale."""
  power = np.mean(np.square(audio, dtype=np.float64)) if len(audio) else 0
  return max(MIN_LEVEL_DBFS, float(10 * np.log10(max(power, 1e-12) / 32768**2)))


def _furthest(reach: tuple[int, int], boxes: Sequence[np.ndarray]) -> tuple[int, int]:
  """Returns (right, bottom), the furthest of `reach` and of boxes (left, top, right, bottom)."""
  right, bottom = np.max([np.array(reach), *(box[2:] for box in boxes)], axis=0).tolist()
  return right, bottom
