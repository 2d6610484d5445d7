"""Colours, type and spacing of the page; no fonts are loaded."""

import gradio as gr

FONT = ('system-ui', '-apple-system', 'Segoe UI', 'Roboto', 'Helvetica', 'Arial', 'sans-serif')
MONO = ('ui-monospace', 'SFMono-Regular', 'Menlo', 'Consolas', 'monospace')
TEAL = gr.themes.Color(
  c50='#eefaf8',
  c100='#d3f1ec',
  c200='#a8e2d9',
  c300='#74ccc0',
  c400='#3fb0a3',
  c500='#1d9488',
  c600='#0f766e',
  c700='#0e5f59',
  c800='#104c48',
  c900='#113f3c',
  c950='#042524',
)


def theme() -> gr.themes.Base:
  """Returns a plain theme: white cards on grey, one colour for what to press."""
  base = gr.themes.Base(
    primary_hue=TEAL,
    secondary_hue=TEAL,
    neutral_hue=gr.themes.colors.slate,
    radius_size=gr.themes.sizes.radius_md,
    text_size=gr.themes.sizes.text_md,
    font=FONT,
    font_mono=MONO,
  )
  return base.set(
    body_background_fill='#f4f6f8',
    body_background_fill_dark='#0f1418',
    body_text_color='#18212b',
    body_text_color_dark='#e7edf2',
    block_border_width='0px',
    block_shadow='none',
    block_label_text_color='#3d4b58',
    block_label_text_color_dark='#c3ced8',
    button_primary_background_fill='*primary_600',
    button_primary_background_fill_hover='*primary_700',
    button_primary_text_color='white',
    button_large_text_weight='600',
    input_border_width='1px',
    input_border_color='#aab6c1',
    input_background_fill='white',
    input_placeholder_color='#5d6b78',
  )
