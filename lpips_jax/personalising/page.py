"""What came of tuning, as one page: figures, moments, videos, and the command that dubs with it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lpips_jax.core import html
from lpips_jax.evaluation.summary import Summary, notes, table

FILE = 'page.html'
ROWS = 'filmed', 'base', 'tuned'
ABOUT_MOUTHS = (
  'Mouth, correlation: of the opening that is seen in the picture with the one that is seen in the filmed one. '
  'Rows of other speech need another speaker, and are left out.'
)


def page(summary: Summary, moments: np.ndarray, videos: Sequence[Path], described: Mapping[str, Any], how: str) -> str:
  """Returns the page.

  Args:
    summary: of the held-out part.
    moments: (h, w, 3) uint8 RGB, from `preview.make`.
    videos: `filmed`, `before`, `after` and `beside`, from there, too.
    described: what was done, by title.
    how: the command that dubs with the tuned generator.
  """
  head, cells = table(summary)
  said = [html.Paragraph(note, quiet=True) for note in [ABOUT_MOUTHS, *notes(summary)]]
  _, _, after, beside = videos
  shown = [
    (beside, f'The held-out part with its own speech. From the left: {", ".join(ROWS)}.'),
    (after, 'The dubbed video, tuned.'),
  ]
  figures = [html.Figure(html.Video(path.read_bytes(), caption), caption) for path, caption in shown]
  caption = f'Moments of the held-out part. From the top: {", ".join(ROWS)}.'
  return html.page(
    'One person',
    [
      ('Moments', [html.Figure(html.Image(moments, caption), caption)]),
      ('Videos', figures),
      ('What tuning gained', [html.Table(cells, head), *said]),
      ('How to dub with it', [html.Paragraph(how)]),
      ('What was done', [html.Table([(title, str(value)) for title, value in described.items()])]),
    ],
  )
