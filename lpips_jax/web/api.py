"""The page for programs: endpoints of Gradio's REST interface and client, under the same limits.

Parameters have the names of infer.py's flags, and consent is one of them.
"""

import asyncio
import traceback
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import gradio as gr
from absl import logging

from lpips_jax.core.errors import Cancelled, UserError
from lpips_jax.dubbing.options import from_text
from lpips_jax.web.events import TICK
from lpips_jax.web.limits import BUG, for_programs
from lpips_jax.web.service import Order, Service
from lpips_jax.web.views import progress_line


def connect(service: Service) -> None:
  """Adds the endpoints; within a `gr.Blocks`, on which they show nothing."""

  async def faces(face: str | None, second: float = 0.0) -> list[list[float]]:
    try:
      if face is None:
        raise UserError('there is no face: give a film or a picture')
      seen = await asyncio.to_thread(service.look, Path(face), second)
    except Exception as error:
      raise _told(error) from error
    return seen.boxes.tolist()

  async def dub(
    face: str | None,
    audio: str | None,
    text: str,
    voice: str,
    language: str,
    face_at: str,
    all_faces: bool,
    speaker: str,
    face_part: str,
    only: str,
    label: bool,
    consent: bool,
  ) -> AsyncIterator[tuple[Any, ...]]:
    try:
      lists = {'face_at': face_at, 'face_part': face_part, 'only': only}
      parsed = from_text({name: value for name, value in lists.items() if value})
      order = Order(
        face=None if face is None else Path(face),
        speech=None if audio is None else Path(audio),
        text=text or '',
        voice=voice,
        language=language or '',
        face_at=parsed.get('face_at'),
        everybody=all_faces,
        speaking=speaker == 'auto',
        part=parsed.get('face_part'),
        only=parsed.get('only'),
        label=label,
        consent=consent is True,
      )
    except UserError as error:
      raise _told(error) from error
    async for outputs in _make(service, order):
      yield outputs

  with gr.Column(visible=False):
    inputs, outputs = _inputs(), _outputs()
    free: dict[str, Any] = {'concurrency_limit': None, 'api_visibility': 'public'}
    looked = [inputs[0], gr.Number(0, label='second')], gr.JSON(label='boxes')
    gr.Button().click(faces, *looked, api_name='faces', api_description=FACES, **free)
    gr.Button().click(dub, inputs, outputs, api_name='dub', api_description=DUB, **free)


FACES = 'Returns the boxes of the faces, left, top, right and bottom in pixels, in the frame shown after some seconds.'
DUB = (
  'Makes a dub of a face with audio or a text, of people who have consented. Returns the video, the boxes that were '
  'used, subtitles of a text, and the command line that makes the same; meanwhile the status, with the place in the '
  'queue.'
)


def _inputs() -> list[Any]:
  return [
    gr.File(label='face'),
    gr.File(label='audio'),
    gr.Textbox('', label='text'),
    gr.Textbox('builtin', label='voice'),
    gr.Textbox('', label='language'),
    gr.Textbox('', label='face_at', info='x,y,t'),
    gr.Checkbox(False, label='all_faces'),
    gr.Textbox('', label='speaker', info='auto: whoever speaks in the film'),
    gr.Textbox('', label='face_part', info='begin,end'),
    gr.Textbox('', label='only', info='begin,end'),
    gr.Checkbox(True, label='label'),
    gr.Checkbox(False, label='consent'),
  ]


def _outputs() -> list[Any]:
  return [
    gr.File(label='video'),
    gr.File(label='boxes'),
    gr.File(label='subtitles', file_count='multiple'),
    gr.Textbox(label='command'),
    gr.Textbox(label='status'),
  ]


async def _make(service: Service, order: Order) -> AsyncIterator[tuple[Any, ...]]:
  """Yields the outputs of a dub: at first its status alone; ends it if the program leaves."""
  job = None
  try:
    job = await asyncio.to_thread(service.order, order)
    while not job.done:
      yield None, None, None, '', progress_line(job.before, job.progress)
      await asyncio.sleep(TICK)
    made = job.result()
    yield str(made.video), str(made.boxes), [str(file) for file in made.subtitles], made.command, 'done'
  except Exception as error:
    raise _told(error) from error
  finally:
    if job is not None:
      job.cancel()


def _told(error: Exception) -> gr.Error:
  """Returns an error as clients get it: one line."""
  if isinstance(error, UserError):
    return gr.Error(for_programs(error), print_exception=False)
  if isinstance(error, Cancelled):
    return gr.Error('the page is closing', print_exception=False)
  logging.error('a program met an error: %s', ''.join(traceback.format_exception(error)))
  return gr.Error(BUG, print_exception=False)
