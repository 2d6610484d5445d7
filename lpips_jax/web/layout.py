"""The page's components, step by step: face, speech, preview and dub, result."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from lpips_jax.web.limits import Limits
from lpips_jax.web.service import CONSENT
from lpips_jax.web.views import NO_RESULT

ASSETS = Path(__file__).with_name('assets')
INTRODUCTION = 'A face and speech in, a video out in which the mouth speaks that speech.'
KEPT = 'Uploads and results stay on the computer that serves this page, and are deleted after an hour.'
MARKED = 'Every video says in its file that a network has changed it.'
PROGRAMS = 'Programs can use this page, too: docs/page.md says how.'
CAMERA = {'video': {'width': {'ideal': 1280}, 'height': {'ideal': 720}}}
PROMINENT, EVERYBODY, SPEAKING = 'prominent', 'everybody', 'speaking'


@dataclass(frozen=True)
class Page:
  """The components that events read and change; each is one of Gradio's."""

  face: Any
  face_file: Any
  webcam: Any
  face_examples: Any
  sight: Any
  moment: Any
  who: Any
  trim: Any
  begin: Any
  end: Any
  speech: Any
  speech_file: Any
  microphone: Any
  text: Any
  voice: Any
  language: Any
  speech_examples: Any
  heard: Any
  consent: Any
  label: Any
  preview_from: Any
  preview: Any
  dub: Any
  stop: Any
  status: Any
  result: Any


def lay_out(limits: Limits) -> Page:
  """Makes the components of all steps, within an open `gr.Blocks`."""
  gr.HTML(f'<header><h1>Lip sync</h1><p>{INTRODUCTION}</p></header>', elem_id='introduction')
  with gr.Row(equal_height=False, elem_id='givens'):
    face = _face_step()
    with gr.Column(min_width=320, elem_classes='steps'):
      speech = _speech_step(limits)
      make = _make_step()
  with gr.Column(elem_classes='step', elem_id='step-result'):
    _heading(4, 'Result')
    result = gr.HTML(NO_RESULT, elem_id='result')
  limit = f'data-megabytes="{limits.max_megabytes}"'
  gr.HTML(f'<div class="foot" {limit}><p>{limits.in_words()} {KEPT}</p><p>{MARKED} {PROGRAMS}</p></div>')
  return Page(**face, **speech, **make, result=result)


def _heading(number: int, title: str) -> None:
  gr.HTML(f'<h2><span class="number" aria-hidden="true">{number}</span> {title}</h2>', elem_classes='heading')


def _face_step() -> dict[str, Any]:
  with gr.Column(elem_classes='step', elem_id='step-face', min_width=320):
    _heading(1, 'Face')
    face = gr.State(None)
    with gr.Tabs():
      with gr.Tab('File'):
        face_file = gr.File(label='A film or a picture of somebody', elem_id='face-file', height=140)
      with gr.Tab('Webcam'):
        options = gr.WebcamOptions(mirror=False, constraints=CAMERA)  # mirroring needs an ffmpeg program
        webcam = gr.Video(
          label='Film yourself',
          sources=['webcam'],
          webcam_options=options,
          include_audio=True,
          buttons=[],
          elem_id='webcam',
        )
      with gr.Tab('Examples'):
        face_examples = gr.HTML('<p class="note">Being drawn…</p>', elem_id='face-examples', js_on_load=EXAMPLE_CLICKED)
    sight = gr.HTML('', elem_id='sight')
    moment = gr.Slider(0, 1, 0, step=0.1, label='Moment shown, in seconds', visible=False, elem_id='moment')
    who = gr.Radio(
      choices=[('The most prominent face', PROMINENT)],
      value=PROMINENT,
      label='Who speaks the new words',
      visible=False,
      elem_id='who',
    )
    with gr.Row(visible=False, elem_id='trim') as trim:
      begin = gr.Number(0, label='Film from second', minimum=0, step=0.1, min_width=120)
      end = gr.Number(None, label='to second', placeholder='its end', minimum=0, step=0.1, min_width=120)
  return {
    'face': face,
    'face_file': face_file,
    'webcam': webcam,
    'face_examples': face_examples,
    'sight': sight,
    'moment': moment,
    'who': who,
    'trim': trim,
    'begin': begin,
    'end': end,
  }


def _speech_step(limits: Limits) -> dict[str, Any]:
  with gr.Column(elem_classes='step', elem_id='step-speech', min_width=320):
    _heading(2, 'Speech')
    speech = gr.State(None)
    with gr.Tabs():
      with gr.Tab('File'):
        speech_file = gr.File(label='A recording, or a film with sound', elem_id='speech-file', height=140)
      with gr.Tab('Microphone'):
        microphone = gr.Audio(
          label='Record speech',
          sources=['microphone'],
          type='filepath',
          editable=False,
          buttons=[],
          elem_id='microphone',
        )
      with gr.Tab('Text'):
        text = gr.Textbox(
          label='What to say', lines=3, max_length=limits.max_characters, elem_id='text', placeholder='Good morning …'
        )
        with gr.Row():
          voice = gr.Dropdown(
            [('Built in', 'builtin'), ('eSpeak', 'espeak')], value='builtin', label='Voice', min_width=120
          )
          language = gr.Textbox(label='Language', placeholder='en', max_length=20, min_width=120)
      with gr.Tab('Examples'):
        speech_examples = gr.HTML(
          '<p class="note">Being drawn…</p>', elem_id='speech-examples', js_on_load=EXAMPLE_CLICKED
        )
    heard = gr.HTML('', elem_id='heard')
  return {
    'speech': speech,
    'speech_file': speech_file,
    'microphone': microphone,
    'text': text,
    'voice': voice,
    'language': language,
    'speech_examples': speech_examples,
    'heard': heard,
  }


def _make_step() -> dict[str, Any]:
  with gr.Column(elem_classes='step', elem_id='step-make'):
    _heading(3, 'Preview, then dub')
    consent = gr.Checkbox(label=f'{CONSENT[0].upper()}{CONSENT[1:]}.', elem_id='consent')
    label = gr.Checkbox(True, label='Write “AI MODIFIED” into the picture.', elem_id='label')
    preview_from = gr.Number(0, label='Preview from second', minimum=0, step=0.5, elem_id='from')
    with gr.Row(equal_height=True, elem_id='buttons'):
      preview = gr.Button('Preview 2 s', elem_id='preview', min_width=140)
      dub = gr.Button('Dub all of it', variant='primary', elem_id='dub', min_width=140)
      stop = gr.Button('Stop', variant='stop', visible=False, elem_id='stop', min_width=140)
    status = gr.HTML('', elem_id='status')
  return {
    'consent': consent,
    'label': label,
    'preview_from': preview_from,
    'preview': preview,
    'dub': dub,
    'stop': stop,
    'status': status,
  }


EXAMPLE_CLICKED = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-example]');
  if (button) trigger('click', {name: button.dataset.example});
});
"""
