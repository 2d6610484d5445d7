"""A page about a corpus: its summary, histograms, and windows as training sees them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data_pipeline.inspection.summary import MEASURES, CorpusSummary
from data_pipeline.records import Record, RecordSource, text
from data_pipeline.windows import draw_starts, window_frames, window_speech
from lpips_jax.audio.alphabets import spelled, timed_labels
from lpips_jax.core import html
from lpips_jax.core.constants import FRAME_RATE, MEL_BANDS, MEL_MAX, SAMPLE_RATE, WINDOW_FRAMES
from lpips_jax.core.files import write_whole
from lpips_jax.media.pictures import grid

if TYPE_CHECKING:
  from matplotlib.axes import Axes
  from matplotlib.figure import Figure

MAX_NAMED = 100  # clips that are named for each problem
WINDOW_WIDTH = 500  # of the pictures of a window, in pixels
CONTEXT_SECONDS = 1.0  # of sound shown before and after a window
WAVEFORM_COLUMNS = 400


@dataclass(frozen=True, eq=False)
class Window:
  """A training window before augmentation.

  Attributes:
    record: the clip from which it is cut.
    start, reference: indices of the first frames of its target and of its reference.
    target_frames, reference_frames: (5, h, w, 3) uint8 RGB.
    mel: (80, 16), of the target.
  """

  record: Record
  start: int
  reference: int
  target_frames: np.ndarray
  reference_frames: np.ndarray
  mel: np.ndarray


def draw_windows(source: RecordSource, summary: CorpusSummary, number: int, seed: int) -> list[Window]:
  """Draws windows of different clips; clips whose frames turn out to be damaged are added to the problems."""
  rng = np.random.default_rng(seed)
  windows = []
  for index in rng.choice(summary.usable, min(number, len(summary.usable)), replace=False):
    record = source[int(index)]
    try:
      windows.append(_draw_window(record, rng))
    except Exception as error:  # a damaged frame may make the libraries that decode it raise anything
      summary.add_unreadable(text(record['id']), error)
  return windows


def write_page(path: Path, title: str, summary: CorpusSummary, windows: Iterable[Window]) -> None:
  """Writes statistics, problems, histograms and windows as an HTML page; equal arguments give equal bytes."""
  measured = {name: values for name, values in summary.measures.items() if values}
  statistics = html.Table(summary.statistics(), ('', 'least', 'median', 'greatest'))
  sections: list[html.Section] = [
    ('What there is', [html.Paragraph(summary.counts()), statistics]),
    ('Problems', [html.Paragraph(line) for line in summary.problem_lines(MAX_NAMED)]),
    ('Clips', [html.Gallery([html.histogram(values, name, MEASURES[name]) for name, values in measured.items()])]),
  ]
  write_whole(path, html.page(title, sections + [_window_section(window, summary.reach) for window in windows]))


def _draw_window(record: Record, rng: np.random.Generator) -> Window:
  start, reference = draw_starts(record, rng)
  mel = window_speech(record['mel'], start)
  return Window(record, start, reference, window_frames(record, start), window_frames(record, reference), mel)


def _window_section(window: Window, reach: tuple[int, int]) -> html.Section:
  record, start, stop = window.record, window.start, window.start + WINDOW_FRAMES
  title = f'{text(record["id"])}, speaker {text(record["speaker"])}, from frame {start} ({start / FRAME_RATE:.2f} s)'
  about = (
    f'Above the target, frames {start} to {stop - 1}, orange in sound and source; '
    f'below the reference, frames {window.reference} to {window.reference + WINDOW_FRAMES - 1}, blue in the source.'
  )
  said = [html.Paragraph(line, quiet=True) for line in _said_in(window)]
  frames = grid([window.target_frames, window.reference_frames])

  def draw(figure: 'Figure') -> None:
    mel, sound, place = figure.subplots(1, 3, width_ratios=(1, 2.6, 1.4))
    _draw_mel(mel, window)
    _draw_sound(sound, window)
    _draw_boxes(place, window, reach)

  drawing = html.plot(draw, 9.4, 2.3, 'mel window, waveform, and place of the face')
  image = html.Image(frames, title, lossless=True, width=WINDOW_WIDTH)
  return title, [html.Paragraph(about, quiet=True), *said, image, html.Paragraph(drawing)]


def _said_in(window: Window) -> list[str]:
  """Returns lines with what is said in the clip, and by sounds in the window, as far as these are known."""
  record, lines = window.record, []
  if transcript := text(record.get('text', '')):
    lines.append(f'Transcript of the clip: {transcript}')
  if 'sounds' in record:
    timed = timed_labels('sounds', record['sounds'], record['sound_ends'])
    within = spelled(timed.between(window.start, window.start + WINDOW_FRAMES), 'sounds')
    lines.append(f'Sounds of the target: {" ".join(within) or "none, silence"}')
  return lines


def _draw_mel(axes: 'Axes', window: Window) -> None:
  extent = (0.0, 1000 * WINDOW_FRAMES / FRAME_RATE, 0.0, float(MEL_BANDS))
  axes.imshow(
    window.mel,
    'magma',
    aspect='auto',
    interpolation='nearest',
    origin='lower',
    extent=extent,
    vmin=-MEL_MAX,
    vmax=MEL_MAX,
  )
  axes.set(xlabel='ms of the window', ylabel='mel band')


def _draw_sound(axes: 'Axes', window: Window) -> None:
  """Draws the waveform as the least and the greatest sample of each of a few hundred stretches."""
  start = window.start / FRAME_RATE
  end = start + WINDOW_FRAMES / FRAME_RATE
  first = max(0, round((start - CONTEXT_SECONDS) * SAMPLE_RATE))
  samples = window.record['audio'][first : round((end + CONTEXT_SECONDS) * SAMPLE_RATE)] / 32768
  if len(samples):
    places = np.unique(np.linspace(0, len(samples), WAVEFORM_COLUMNS, endpoint=False).astype(int))
    least, greatest = (pick.reduceat(samples, places) for pick in (np.minimum, np.maximum))
    axes.fill_between((first + places) / SAMPLE_RATE, least, greatest, color=html.ACCENT, linewidth=0.5)
  axes.axvspan(start, end, color=html.SECOND, alpha=0.35, linewidth=0)
  axes.set(xlabel='s of the clip', ylabel='sound')


def _draw_boxes(axes: 'Axes', window: Window, reach: tuple[int, int]) -> None:
  """Draws the boxes in a frame as large as the boxes of the split reach: the size of the source is not recorded."""
  from matplotlib.patches import Rectangle

  axes.add_patch(Rectangle((0, 0), *reach, fill=False, edgecolor=html.INK, linewidth=0.8))
  for first, colour in ((window.reference, html.ACCENT), (window.start, html.SECOND)):
    for left, top, right, bottom in window.record['box'][first : first + 1].tolist():
      axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=colour, linewidth=1.5))
  axes.autoscale_view()
  axes.invert_yaxis()
  axes.set(aspect='equal', xlabel='box in the source, px')
