"""The result of tuning as one HTML page: moments, videos, scores, and the command that dubs with the checkpoint."""

from collections.abc import Mapping

from lpips_jax.core import html
from lpips_jax.evaluation.summary import Summary, notes, table
from lpips_jax.personalising.preview import Preview

FILE = 'page.html'
ROWS = 'filmed', 'base', 'tuned'
TABLE_NOTE = (
  'Mouth, correlation: between the openings seen in the generated and in the filmed picture. '
  'Rows with other speech need another speaker, and are left out.'
)


def page(summary: Summary, preview: Preview, described: Mapping[str, object], command: str) -> str:
  """Returns the page as HTML.

  Args:
    summary: the scores on the held-out part.
    preview: from `make_preview`.
    described: the inputs and settings of the run, by title.
    command: dubs with the tuned generator.
  """
  head, cells = table(summary)
  table_notes = [html.Paragraph(note, quiet=True) for note in [TABLE_NOTE, *notes(summary)]]
  captions = {
    preview.side_by_side: f'The held-out part with its own speech. From the left: {", ".join(ROWS)}.',
    preview.after: 'The dubbed video, tuned.',
  }
  figures = [html.Figure(html.Video(path.read_bytes(), caption), caption) for path, caption in captions.items()]
  caption = f'Moments of the held-out part. From the top: {", ".join(ROWS)}.'
  return html.page(
    'One person',
    [
      ('Moments', [html.Figure(html.Image(preview.moments, caption), caption)]),
      ('Videos', figures),
      ('What tuning gained', [html.Table(cells, head), *table_notes]),
      ('How to dub with it', [html.Paragraph(command)]),
      ('What was done', [html.Table([(title, str(value)) for title, value in described.items()])]),
    ],
  )
