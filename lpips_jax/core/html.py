"""Pages to look at: HTML in one file, with tables, plots, pictures and videos, byte for byte the same every time.

  page('Clips', [('Length', table([('clips', 3)]) + histogram([1.0, 2.0, 2.5], 'seconds'))])

A page needs no other file and no network, and follows the reader's choice of a light or a dark theme.
"""

import base64
import math
import re
from collections.abc import Callable, Iterable, Sequence
from html import escape
from io import StringIO
from typing import Any

import cv2
import numpy as np

ACCENT, SECOND = '#3b82f6', '#f59e0b'  # of plots; both can be told from white and from black
INK = '#010203'  # plots are drawn with it, and show the colour of the text around them
BINS, FEW = 40, 8  # bars of a histogram
JPEG_QUALITY = 88

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --quiet: #777; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
@media (prefers-color-scheme: dark) { body { background: #16181c; color: #e4e4e4; } :root { --quiet: #999; } }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid var(--line); }
table { border-collapse: collapse; margin: .6rem 0; }
th, td { padding: .15rem .9rem .15rem 0; text-align: right; vertical-align: top; font-variant-numeric: tabular-nums; }
th:first-child, td:first-child, td.text, th.text { text-align: left; overflow-wrap: anywhere; }
th { font-weight: 600; } tr + tr td { border-top: 1px solid var(--line); }
p.quiet { color: var(--quiet); } p { overflow-wrap: anywhere; }
svg, img, video { max-width: 100%; height: auto; vertical-align: top; }
video { min-width: min(100%, 20rem); }
figure { margin: 0 0 .4rem; } figcaption { color: var(--quiet); font-size: .85rem; width: 0; min-width: 100%; }
.gallery { display: flex; flex-wrap: wrap; gap: 4px; }
"""


def page(title: str, sections: Iterable[tuple[str, str]]) -> str:
  """Returns a page.

  Args:
    title: text.
    sections: of each its title, text, and what it holds: HTML from the functions below, one after the other.
  """
  parts = [f'<section>\n<h2>{escape(name)}</h2>\n{content}\n</section>\n' for name, content in sections]
  return (
    '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    f'<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{escape(title)}</h1>\n'
    f'{"".join(parts)}</body>\n</html>\n'
  )


def paragraph(text: str, quiet: bool = False) -> str:
  return f'<p{" class=quiet" if quiet else ""}>{escape(text)}</p>\n'


def table(rows: Iterable[Sequence[object]], head: Sequence[str] = (), digits: int | None = None) -> str:
  """Returns rows of text and numbers: text to the left, numbers to the right with their digits grouped.

  Args:
    rows: of equally many cells each; one that is None stays empty.
    head: the titles of the columns, if any.
    digits: how many significant ones a fraction is shown with; two or three decimals by default.
  """
  rows = [list(row) for row in rows]
  textual = [any(isinstance(row[k], str) for row in rows) for k in range(len(rows[0]) if rows else 0)]
  above = [_row('th', head, textual or [True] * len(head))] if head else []
  return f'<table>\n{"".join(above + [_row("td", row, textual, digits) for row in rows])}</table>\n'


def histogram(values: Sequence[float] | np.ndarray, label: str, step: float | None = None) -> str:
  """Returns how often which values occur, as a plot, with the least, the greatest and the middle one.

  Args:
    values: finite numbers, any number of them.
    label: what they are, with the unit.
    step: if they are multiples of something: of what. Bars of uneven numbers of such steps would make combs.
  """
  values = np.asarray(values, np.float64)
  if not values.size:
    return paragraph(f'{label}: nothing to show', quiet=True)
  low, high = values.min(), values.max()
  edges = BINS
  if step:
    width = step * math.ceil(((high - low) / step + 1) / BINS)
    edges = low - step / 2 + width * np.arange(math.ceil((high - low + step) / width - 1e-6) + 1)
  counts, edges = np.histogram(values, edges)
  caption = f'{label}\n{low:.4g} to {high:.4g}, median {np.median(values):.4g}'

  def draw(figure: Any) -> None:
    axes = figure.add_subplot(xlabel=caption, ylabel='number')
    axes.stairs(counts, edges, fill=True, color=ACCENT)
    axes.locator_params(axis='y', integer=True)
    if len(counts) < FEW:
      axes.margins(x=(FEW / len(counts) - 1) / 2)  # else a single bar would fill the plot

  return plot(draw, 4.7, 2.2, caption)


def plot(draw: Callable[[Any], None], width: float, height: float, title: str = '') -> str:
  """Returns a drawing as inline SVG.

  Args:
    draw: adds axes to an empty `matplotlib.figure.Figure`, which arranges them.
    width, height: in inches, of 96 pixels.
    title: a text for those who do not see it, and under the pointer.
  """
  import matplotlib  # here: it takes a second, and nobody else needs it
  from matplotlib.figure import Figure

  drawn = StringIO()
  with matplotlib.rc_context():
    matplotlib.rcdefaults()  # whatever the user's own settings are
    matplotlib.rcParams.update(_PLOTS)
    figure = Figure((width, height), layout='constrained')
    draw(figure)
    figure.savefig(drawn, format='svg', transparent=True, metadata=dict.fromkeys(('Date', 'Creator', 'Format', 'Type')))
  svg = drawn.getvalue()
  svg = re.sub(
    r'<g id="[^"]*">', '<g>', svg[svg.index('<svg') :]
  )  # nobody refers to those, and all plots have the same
  svg = re.sub(r'\s*<!--.*?-->', '', svg, flags=re.DOTALL).replace(INK, 'currentColor')
  start = svg.index('>') + 1
  return f'{svg[:start]}<title>{escape(title)}</title>{svg[start:]}' if title else svg


def image(pixels: np.ndarray, title: str = '', lossless: bool = False, width: int | None = None) -> str:
  """Returns an inline picture.

  Args:
    pixels: (h, w, 3) uint8 RGB.
    title: a text for those who do not see it, and under the pointer.
    lossless: as PNG; else as JPEG, which is smaller.
    width: at which to show it, in pixels; its own by default.
  """
  kind, options = ('png', []) if lossless else ('jpeg', [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
  coded = base64.b64encode(cv2.imencode(f'.{kind}', np.ascontiguousarray(pixels[..., ::-1]), options)[1]).decode()
  width = width or pixels.shape[1]
  height = round(width * pixels.shape[0] / pixels.shape[1])
  named = f' title="{escape(title)}"' if title else ''
  return (
    f'<img{named} alt="{escape(title)}" width="{width}" height="{height}" src="data:image/{kind};base64,{coded}">\n'
  )


def video(coded: bytes, title: str = '') -> str:
  """Returns an inline video: the bytes of an mp4 that browsers play, and a text shown under the pointer."""
  named = f' title="{escape(title)}"' if title else ''
  return f'<video{named} controls loop src="data:video/mp4;base64,{base64.b64encode(coded).decode()}"></video>\n'


def figure(content: str, caption: str) -> str:
  """Returns a picture, a plot or a video with a line of text below it."""
  return f'<figure>\n{content}<figcaption>{escape(caption)}</figcaption>\n</figure>\n'


def gallery(pictures: Iterable[str]) -> str:
  """Returns pictures, plots or figures side by side, in as many rows as they need."""
  return f'<div class="gallery">\n{"".join(pictures)}</div>\n'


_PLOTS = {
  'svg.hashsalt': 'lpips_jax',  # else its ids are drawn anew every time
  'svg.fonttype': 'none',
  'font.sans-serif': ['DejaVu Sans'],  # comes with matplotlib, which measures text with it
  'font.size': 9,
  'text.parse_math': False,
  'axes.spines.top': False,
  'axes.spines.right': False,
  **dict.fromkeys(('text.color', 'axes.labelcolor', 'axes.edgecolor', 'xtick.color', 'ytick.color'), INK),
}


def _row(tag: str, cells: Sequence[object], textual: Sequence[bool], digits: int | None = None) -> str:
  kinds = [' class="text"' if text else '' for text in textual]
  coded = [f'<{tag}{kind}>{escape(_shown(cell, digits))}</{tag}>' for cell, kind in zip(cells, kinds, strict=True)]
  return f'<tr>{"".join(coded)}</tr>\n'


def _shown(cell: object, digits: int | None) -> str:
  if cell is None:
    return ''
  if isinstance(cell, float) and digits:
    return f'{cell:,.{digits}g}'
  if isinstance(cell, float):
    return f'{cell:,.2f}' if abs(cell) >= 1 else f'{cell:.3f}'
  return f'{cell:,}' if isinstance(cell, int) else str(cell)
