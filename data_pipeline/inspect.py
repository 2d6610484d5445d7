"""Looks at a corpus before anything is trained on it: what it holds, what is wrong with it, and what training will see.

  python -m data_pipeline.inspect talking_faces/quickstart --split=train --data_dir=runs/data --output=inspect.html

Prints statistics and problems, and writes them, with histograms and windows as a generator is trained on, as a page.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags
from tqdm import tqdm

from data_pipeline.records import decode_frames, text
from lpips_jax.audio.mel import HOP, MAX_VALUE, MEL_BANDS, SAMPLE_RATE, mel_windows
from lpips_jax.core import cli, html
from lpips_jax.core.constants import FRAME_RATE, SAMPLES_A_FRAME, WINDOW_FRAMES
from lpips_jax.core.files import write_whole
from lpips_jax.media.pictures import grid

SHORT = 2 * WINDOW_FRAMES  # frames; in shorter clips the reference window shares frames with the target
QUIETEST = -100.0  # dBFS, where levels end, since silence has none
SILENT = -60.0  # dBFS
CLIPPED = 1e-3  # the share of samples at either end of their range; a loud recording touches them now and then
UNREADABLE = 'cannot be read'
NAMED, NAMED_ON_PAGE = 5, 100  # clips that are named for each problem
WIDTH = 500  # of the pictures of a window, in pixels
AROUND = 1.0  # seconds of sound shown before and after a window
COLUMNS = 400  # of a waveform
MEASURES = {  # and the steps they come in
  'length (s)': 1 / FRAME_RATE,
  'crop side (px)': 1,
  'box height (px)': None,
  'audio level (dBFS)': None,
}


@dataclass
class CorpusSummary:
  """What was found, in numbers alone, so that it fits into memory whatever the size of the corpus.

  Attributes:
    measures: of each of `MEASURES` a number for every clip that could be read, and has it.
    speakers: all of them.
    problems: what is wrong: the clips with which it is.
    usable: indices of the clips that windows can be taken of.
    reach: (right, bottom), the furthest that any box reaches, in pixels.
  """

  measures: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in MEASURES})
  speakers: set[str] = field(default_factory=set)
  problems: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
  usable: list[int] = field(default_factory=list)
  reach: tuple[int, int] = (1, 1)


@dataclass(frozen=True, eq=False)
class Window:
  """A window that training could see, before augmentation.

  Attributes:
    record: the clip it was taken of.
    start, reference: numbers of the first frames of its target and of its reference.
    target_frames, reference_frames: (5, h, w, 3) uint8.
    mel: (80, 16), of the target.
  """

  record: dict[str, Any]
  start: int
  reference: int
  target_frames: np.ndarray
  reference_frames: np.ndarray
  mel: np.ndarray


def define_flags() -> None:
  flags.DEFINE_string('dataset', None, 'A corpus: talking_faces, talking_faces/quickstart, lrs2, …')
  flags.DEFINE_string('split', 'train', 'Its split.')
  flags.DEFINE_string('data_dir', 'runs/data', 'Where TFDS keeps its datasets.')
  flags.DEFINE_string('output', 'inspect.html', 'The page to write.')
  flags.DEFINE_integer('windows', 12, 'How many windows to show.', lower_bound=0)
  flags.DEFINE_integer('seed', 0, 'Draws the windows.', lower_bound=0)
  flags.DEFINE_integer('max_clips', None, 'Looks at so many clips, spread evenly over the split.', lower_bound=1)


def main() -> None:
  cli.require_flags('dataset', 'output')
  given = flags.FLAGS
  output = Path(given.output)
  if output.is_dir():
    cli.fail(f'{output} is a directory: --output is the page to write')

  from data_pipeline import corpora  # here, so that bad flags are told at once

  source = corpora.source(given.dataset, given.split, given.data_dir)
  output.parent.mkdir(parents=True, exist_ok=True)  # now, lest a long look be in vain
  found = survey(source, _spread(len(source), given.max_clips))
  title = f'{given.dataset} {given.split}'
  if not found.measures['length (s)']:
    cli.fail(f'{title} has no clip that can be read: {next(iter(found.problems[UNREADABLE]), "it is empty")}')
  windows = draw_windows(source, found, given.windows, given.seed)
  print('\n'.join([f'{title}: {_counts(found)}', *_measures_as_text(found), *_problems(found, NAMED)]))
  write_page(output, title, found, windows)
  print(f'look at {output}')


def survey(source: Sequence[dict[str, Any]], indices: Iterable[int]) -> CorpusSummary:
  """Looks at the clips of these indices, one after the other; of each, a single frame is decoded."""
  found, ids = CorpusSummary(), Counter()
  for index in tqdm(indices, 'looking', unit='clip', leave=False, disable=None):
    name = f'record {index}'
    try:
      record = source[index]
      name = text(record['id'])
      _look_at(record, name, found)
    except Exception as error:  # a damaged record may make the libraries that read it raise anything
      found.problems[UNREADABLE].append(_why(name, error))
      continue
    ids[name] += 1
    if len(record['frames']) >= WINDOW_FRAMES:
      found.usable.append(index)
  repeated = [f'{name} ({times} times)' for name, times in ids.items() if times > 1]
  if repeated:
    found.problems['id that several clips have'] = repeated
  return found


def draw_windows(source: Sequence[dict[str, Any]], found: CorpusSummary, number: int, seed: int) -> list[Window]:
  """Draws windows of different clips; a clip whose frames turn out to be damaged becomes a problem."""
  rng = np.random.default_rng(seed)
  windows = []
  for index in rng.choice(found.usable, min(number, len(found.usable)), replace=False):
    record = source[int(index)]  # which could be read a moment ago
    try:
      windows.append(_window(record, rng))
    except Exception as error:  # as above
      found.problems[UNREADABLE].append(_why(text(record['id']), error))
  return windows


def write_page(path: Path, title: str, found: CorpusSummary, windows: Iterable[Window]) -> None:
  """Writes statistics, problems, histograms and windows as a page; it depends on nothing but these."""
  measured = {name: values for name, values in found.measures.items() if values}
  rows = [(name, *_least_middle_greatest(values)) for name, values in measured.items()]
  sections = [
    ('What there is', html.paragraph(_counts(found)) + html.table(rows, ('', 'least', 'median', 'greatest'))),
    ('Problems', ''.join(map(html.paragraph, _problems(found, NAMED_ON_PAGE)))),
    ('Clips', html.gallery(html.histogram(values, name, MEASURES[name]) for name, values in measured.items())),
  ]
  write_whole(path, html.page(title, sections + [_window_section(window, found.reach) for window in windows]))


def _window(record: dict[str, Any], rng: np.random.Generator) -> Window:
  from data_pipeline.windows import draw_starts, window_frames

  start, reference = draw_starts(record, rng)
  mel = mel_windows(record['mel'], FRAME_RATE, 1, lead=-start)[0]
  return Window(record, start, reference, window_frames(record, start), window_frames(record, reference), mel)


def _look_at(record: dict[str, Any], name: str, found: CorpusSummary) -> None:
  """Adds a clip to the survey; if it raises, nothing of the clip is there."""
  frames, audio, boxes, mel = len(record['frames']), record['audio'], record['box'], record['mel']
  level = _level(audio)
  measures = {
    'length (s)': frames / FRAME_RATE,
    'crop side (px)': decode_frames(record['frames'], [frames // 2]).shape[1],
    'audio level (dBFS)': level,
  }
  if len(boxes):
    measures['box height (px)'] = float(np.mean(boxes[:, 3] - boxes[:, 1]))
  speaker = text(record['speaker'])
  problems = {
    f'shorter than {SHORT} frames': frames < SHORT,
    f'silent, below {SILENT:g} dBFS': level < SILENT,
    'clipped sound': np.mean((audio == 32767) | (audio == -32768)) >= CLIPPED if len(audio) else False,
    'not as many boxes as frames': len(boxes) != frames,
    'sound not as long as the frames': abs(len(audio) - frames * SAMPLES_A_FRAME) > SAMPLES_A_FRAME,
    # The mel of a part of a clip may have a row more: see `data_pipeline.records.part_of_record`.
    'mel not as long as the sound': abs(len(mel) - 1 - len(audio) // HOP) > 1,
  }
  found.speakers.add(speaker)
  found.reach = tuple(np.max([found.reach, *boxes[:, 2:]], axis=0).tolist())
  for measure, value in measures.items():
    found.measures[measure].append(value)
  for problem, there in problems.items():
    if there:
      found.problems[problem].append(name)


def _level(audio: np.ndarray) -> float:
  """The root mean square of int16 sound in dB of the loudest that there can be."""
  power = np.mean(np.square(audio, dtype=np.float64)) if len(audio) else 0
  return max(QUIETEST, float(10 * np.log10(max(power, 1e-12) / 32768**2)))


def _window_section(window: Window, reach: tuple[int, int]) -> tuple[str, str]:
  record, start, stop = window.record, window.start, window.start + WINDOW_FRAMES
  title = f'{text(record["id"])}, speaker {text(record["speaker"])}, from frame {start} ({start / FRAME_RATE:.2f} s)'
  about = (
    f'Above the target, frames {start} to {stop - 1}, orange in sound and source; '
    f'below the reference, frames {window.reference} to {window.reference + WINDOW_FRAMES - 1}, blue in the source.'
  )
  frames = grid([window.target_frames, window.reference_frames])

  def draw(figure: Any) -> None:
    mel, sound, place = figure.subplots(1, 3, width_ratios=(1, 2.6, 1.4))
    _draw_mel(mel, window)
    _draw_sound(sound, window)
    _draw_boxes(place, window, reach)

  drawing = html.plot(draw, 9.4, 2.3, 'mel window, waveform, and place of the face')
  return title, html.paragraph(about, quiet=True) + html.image(
    frames, title, lossless=True, width=WIDTH
  ) + f'<p>{drawing}</p>\n'


def _draw_mel(axes: Any, window: Window) -> None:
  milliseconds = 1000 * WINDOW_FRAMES / FRAME_RATE
  extent = (0, milliseconds, 0, MEL_BANDS)
  limits = {'vmin': -MAX_VALUE, 'vmax': MAX_VALUE}
  axes.imshow(window.mel, 'magma', aspect='auto', interpolation='nearest', origin='lower', extent=extent, **limits)
  axes.set(xlabel='ms of the window', ylabel='mel band')


def _draw_sound(axes: Any, window: Window) -> None:
  """The waveform, as the least and the greatest sample of each of a few hundred stretches of it."""
  start = window.start / FRAME_RATE
  end = start + WINDOW_FRAMES / FRAME_RATE
  first = max(0, round((start - AROUND) * SAMPLE_RATE))
  samples = window.record['audio'][first : round((end + AROUND) * SAMPLE_RATE)] / 32768
  if len(samples):
    places = np.unique(np.linspace(0, len(samples), COLUMNS, endpoint=False).astype(int))
    least, greatest = (pick.reduceat(samples, places) for pick in (np.minimum, np.maximum))
    axes.fill_between((first + places) / SAMPLE_RATE, least, greatest, color=html.ACCENT, linewidth=0.5)
  axes.axvspan(start, end, color=html.SECOND, alpha=0.35, linewidth=0)
  axes.set(xlabel='s of the clip', ylabel='sound')


def _draw_boxes(axes: Any, window: Window, reach: tuple[int, int]) -> None:
  """Where the face was. Nobody noted the size of the source: its frame is drawn as far as boxes of the split reach."""
  from matplotlib.patches import Rectangle

  axes.add_patch(Rectangle((0, 0), *reach, fill=False, edgecolor=html.INK, linewidth=0.8))
  for first, colour in ((window.reference, html.ACCENT), (window.start, html.SECOND)):
    for left, top, right, bottom in window.record['box'][first : first + 1].tolist():
      axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=colour, linewidth=1.5))
  axes.autoscale_view()
  axes.invert_yaxis()
  axes.set(aspect='equal', xlabel='box in the source, px')


def _counts(found: CorpusSummary) -> str:
  lengths = found.measures['length (s)']
  return f'{len(lengths):,} clips of {len(found.speakers):,} speakers, {sum(lengths) / 3600:.3f} h'


def _measures_as_text(found: CorpusSummary) -> list[str]:
  rows = [(name, *_least_middle_greatest(values)) for name, values in found.measures.items() if values]
  lines = [f'{name:20}' + ''.join(f'{value:10.2f}' for value in values) for name, *values in rows]
  return [f'{"":20}{"least":>10}{"median":>10}{"greatest":>10}', *lines]


def _least_middle_greatest(values: Sequence[float]) -> tuple[float, float, float]:
  return float(np.min(values)), float(np.median(values)), float(np.max(values))


def _problems(found: CorpusSummary, named: int) -> list[str]:
  """A line for each kind of problem, with the first clips that have it."""
  lines = []
  for problem, names in found.problems.items():
    more = f', and {len(names) - named:,} more' if len(names) > named else ''
    lines.append(f'{problem}: {len(names):,}: {", ".join(names[:named])}{more}')
  return lines or ['no problems found']


def _why(name: str, error: Exception) -> str:
  return ' '.join(f'{name} ({type(error).__name__}: {error})'.split())


def _spread(length: int, limit: int | None) -> list[int]:
  """Indices of at most so many of `length` clips, spread evenly: neighbours are often of the same speaker."""
  number = min(length, limit or length)
  return [k * length // number for k in range(number)]


if __name__ == '__main__':
  define_flags()
  cli.run(main, 'dataset')
