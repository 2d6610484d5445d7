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

SETTINGS = {
  'body_background_fill': '#f3f5f7',
  'body_background_fill_dark': '#0f1418',
  'body_text_color': '#18212b',
  'body_text_color_dark': '#e7edf2',
  'body_text_color_subdued': '#4d5b69',  # 7 to 1 on white
  'body_text_color_subdued_dark': '#b3bfca',
  'background_fill_primary': 'white',
  'background_fill_primary_dark': '#182026',
  'background_fill_secondary': '#f3f5f7',
  'background_fill_secondary_dark': '#222c34',
  'border_color_primary': '#d5dce3',
  'border_color_primary_dark': '#33404b',
  'block_background_fill': 'transparent',
  'block_background_fill_dark': 'transparent',
  'block_padding': '0',
  'block_border_width': '0px',
  'block_shadow': 'none',
  'block_title_text_color': '*body_text_color',
  'block_title_text_weight': '550',
  'block_label_text_color': '*body_text_color_subdued',
  'block_label_background_fill': 'transparent',
  'block_label_background_fill_dark': 'transparent',
  'block_label_border_width': '0px',
  'button_primary_background_fill': '*primary_600',
  'button_primary_background_fill_dark': '*primary_600',
  'button_primary_background_fill_hover': '*primary_700',
  'button_primary_background_fill_hover_dark': '*primary_700',
  'button_primary_text_color': 'white',
  'button_secondary_background_fill': 'white',
  'button_secondary_background_fill_dark': '*background_fill_secondary',
  'button_secondary_background_fill_hover': '*primary_50',
  'button_secondary_background_fill_hover_dark': '*primary_900',
  'button_secondary_text_color': '*primary_700',
  'button_secondary_text_color_dark': '*primary_200',
  'button_secondary_border_color': '*primary_600',
  'button_secondary_border_color_dark': '*primary_400',
  'button_border_width': '1px',
  'button_large_text_weight': '600',
  'button_large_padding': '10px 16px',
  'checkbox_label_background_fill': 'transparent',
  'checkbox_label_background_fill_dark': 'transparent',
  'checkbox_label_background_fill_hover': '*background_fill_secondary',
  'checkbox_label_border_color': '*border_color_primary',
  'checkbox_label_border_width': '1px',
  'checkbox_border_color': '#7b8895',
  'slider_color': '*primary_600',
  'input_border_width': '1px',
  'input_border_color': '#8593a1',
  'input_border_color_dark': '#64727f',
  'input_background_fill': 'white',
  'input_background_fill_dark': '#10161b',
  'input_placeholder_color': '#5d6b78',
  'input_placeholder_color_dark': '#a3afba',
}


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
  return base.set(**SETTINGS)
