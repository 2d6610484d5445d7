"""Pages to look at: HTML in one file, with tables, plots, images and videos, byte for byte the same every time.

  page('Clips', [('Length', [Table([('clips', 3)]), histogram([1.0, 2.0, 2.5], 'seconds')])])

A page consists of sections, and a section of blocks, which are plain data: `templates/page.html.j2` holds all of the
HTML and escapes every text. A page needs no other file and no network, and follows the reader's choice of a light or a
dark theme.
"""

import base64
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from io import StringIO
from typing import TYPE_CHECKING, Any, ClassVar

import cv2
import jinja2
import numpy as np
from markupsafe import Markup, escape

if TYPE_CHECKING:
  from matplotlib.figure import Figure as Drawing

ACCENT, SECOND = '#3b82f6', '#f59e0b'  # colours of plots; both stand out from white and from black
INK = '#010203'  # plots are drawn with it, and show the colour of the text around them
MAX_BINS = 40  # bars of a histogram
FEW_BINS = 8  # fewer bars than this are drawn no wider
JPEG_QUALITY = 88

PLOT_STYLE: dict[Any, Any] = {  # matplotlib types each of its keys
  'svg.hashsalt': 'lpips_jax',  # without it the ids differ every time
  'svg.fonttype': 'none',
  'font.sans-serif': ['DejaVu Sans'],  # comes with matplotlib, which measures text with it
  'font.size': 9,
  'text.parse_math': False,
  'axes.spines.top': False,
  'axes.spines.right': False,
  **dict.fromkeys(('text.color', 'axes.labelcolor', 'axes.edgecolor', 'xtick.color', 'ytick.color'), INK),
}


@dataclass(frozen=True)
class Paragraph:
  """A paragraph of text, or a plot in the place of one.

  Attributes:
    text: plain text, or a plot from `plot`.
    quiet: shown in grey.
  """

  kind: ClassVar = 'paragraph'
  text: str
  quiet: bool = False


@dataclass(frozen=True)
class Table:
  """Rows of text and numbers: text to the left, numbers to the right with their digits grouped.

  Attributes:
    rows: of equally many cells each; a cell that is None stays empty.
    head: the titles of the columns, if any.
    digits: significant digits of a fraction; two or three decimals by default.
  """

  kind: ClassVar = 'table'
  rows: Sequence[Sequence[object]]
  head: Sequence[str] = ()
  digits: int | None = None

  @property
  def cells(self) -> list[list[tuple[str, bool]]]:
    """The text of each cell of each row, and whether its column is one of text."""
    rows = [[_cell_text(cell, self.digits) for cell in row] for row in self.rows]
    return [list(zip(row, self._text_columns, strict=True)) for row in rows]

  @property
  def head_cells(self) -> list[tuple[str, bool]]:
    """The text of each cell of the head, and whether its column is one of text."""
    return list(zip(self.head, self._text_columns if self.rows else [True] * len(self.head), strict=True))

  @cached_property
  def _text_columns(self) -> list[bool]:
    return [any(isinstance(cell, str) for cell in column) for column in zip(*self.rows, strict=True)]


@dataclass(frozen=True, eq=False)
class Image:
  """An inline image.

  Attributes:
    pixels: (h, w, 3) uint8 RGB.
    title: a text for those who do not see it, and under the pointer.
    lossless: stored as PNG; else as JPEG, which is smaller.
    width: the width to show it at, in pixels; its own by default.
  """

  kind: ClassVar = 'image'
  pixels: np.ndarray
  title: str = ''
  lossless: bool = False
  width: int | None = None

  @property
  def shown_width(self) -> int:
    return self.width or self.pixels.shape[1]

  @property
  def shown_height(self) -> int:
    return round(self.shown_width * self.pixels.shape[0] / self.pixels.shape[1])

  @property
  def source(self) -> str:
    """A data URL that holds the whole image."""
    suffix, options = ('png', []) if self.lossless else ('jpeg', [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    encoded = cv2.imencode(f'.{suffix}', np.ascontiguousarray(self.pixels[..., ::-1]), options)[1]
    return _data_url(f'image/{suffix}', encoded.tobytes())


@dataclass(frozen=True)
class Video:
  """An inline video.

  Attributes:
    encoded: the bytes of an mp4 that browsers play.
    title: a text shown under the pointer.
  """

  kind: ClassVar = 'video'
  encoded: bytes
  title: str = ''

  @property
  def source(self) -> str:
    """A data URL that holds the whole video."""
    return _data_url('video/mp4', self.encoded)


@dataclass(frozen=True)
class Figure:
  """An image, a plot or a video with a line of text below it."""

  kind: ClassVar = 'figure'
  content: 'Block'
  caption: str


@dataclass(frozen=True)
class Gallery:
  """Images, plots or figures side by side, in as many rows as they need."""

  kind: ClassVar = 'gallery'
  blocks: Sequence['Block']


Block = Markup | Paragraph | Table | Image | Video | Figure | Gallery
Section = tuple[str, Sequence[Block]]  # its title and what it holds


def page(title: str, sections: Iterable[Section]) -> str:
  """Returns a page as HTML; titles and texts are plain text."""
  return _template().render(title=title, sections=list(sections))


def histogram(values: Sequence[float] | np.ndarray, label: str, step: float | None = None) -> Markup | Paragraph:
  """Returns a plot of how often values occur, with the smallest, the greatest and the median.

  Args:
    values: finite numbers, any number of them.
    label: what they are, with the unit.
    step: the number of which all values are multiples, if there is one. Bars that cover uneven numbers of steps would
      make combs.
  """
  values = np.asarray(values, np.float64)
  if not values.size:
    return Paragraph(f'{label}: nothing to show', quiet=True)
  counts, edges = np.histogram(values, MAX_BINS if step is None else _edges(values.min(), values.max(), step))
  caption = f'{label}\n{values.min():.4g} to {values.max():.4g}, median {np.median(values):.4g}'

  def draw(drawing: 'Drawing') -> None:
    axes = drawing.add_subplot(xlabel=caption, ylabel='number')
    axes.stairs(counts, edges, fill=True, color=ACCENT)
    axes.locator_params(axis='y', integer=True)
    if len(counts) < FEW_BINS:
      axes.margins(x=(FEW_BINS / len(counts) - 1) / 2)  # else a single bar would fill the plot

  return plot(draw, 4.7, 2.2, caption)


def plot(draw: Callable[['Drawing'], None], width: float, height: float, title: str = '') -> Markup:
  """Returns a plot as inline SVG, a block of its own.

  Args:
    draw: adds axes to an empty `matplotlib.figure.Figure`, which arranges them.
    width, height: in inches, of 96 pixels.
    title: a text for those who do not see it, and under the pointer.
  """
  import matplotlib  # here: it takes a second, and only pages with plots need it
  from matplotlib.figure import Figure as Drawing

  written = StringIO()
  with matplotlib.rc_context():
    matplotlib.rcdefaults()  # whatever the user's own settings are
    matplotlib.rcParams.update(PLOT_STYLE)
    drawing = Drawing((width, height), layout='constrained')
    draw(drawing)
    metadata = dict.fromkeys(('Date', 'Creator', 'Format', 'Type'))
    drawing.savefig(written, format='svg', transparent=True, metadata=metadata)
  svg = written.getvalue()
  svg = svg[svg.index('<svg') :]
  svg = re.sub(r'<g id="[^"]*">', '<g>', svg)  # nothing refers to these ids, and all plots have the same
  svg = re.sub(r'\s*<!--.*?-->', '', svg, flags=re.DOTALL).replace(INK, 'currentColor')
  start = svg.index('>') + 1
  tooltip = f'<title>{escape(title)}</title>' if title else ''
  return Markup(svg[:start] + tooltip + svg[start:])


@cache
def _template() -> jinja2.Template:
  environment = jinja2.Environment(
    loader=jinja2.PackageLoader('lpips_jax.core'),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    keep_trailing_newline=True,
  )
  return environment.get_template('page.html.j2')


def _edges(low: float, high: float, step: float) -> np.ndarray:
  """The edges of at most `MAX_BINS` bars, each of which covers equally many multiples of `step`."""
  width = step * math.ceil(((high - low) / step + 1) / MAX_BINS)
  return low - step / 2 + width * np.arange(math.ceil((high - low + step) / width - 1e-6) + 1)


def _cell_text(cell: object, digits: int | None) -> str:
  if cell is None:
    return ''
  if isinstance(cell, float) and digits:
    return f'{cell:,.{digits}g}'
  if isinstance(cell, float):
    return f'{cell:,.2f}' if abs(cell) >= 1 else f'{cell:.3f}'
  return f'{cell:,}' if isinstance(cell, int) else str(cell)


def _data_url(media_type: str, content: bytes) -> str:
  return f'data:{media_type};base64,{base64.b64encode(content).decode()}'
