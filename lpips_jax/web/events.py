"""Connects the page's components with the service."""

import asyncio
import dataclasses
import traceback
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import gradio as gr
from absl import logging

from lpips_jax.core.errors import Cancelled, UserError
from lpips_jax.web import views
from lpips_jax.web.faces import Sight
from lpips_jax.web.layout import EVERYBODY, PROMINENT, SPEAKING, Page
from lpips_jax.web.limits import BUG, for_the_page
from lpips_jax.web.line import Job
from lpips_jax.web.service import LATE, PREVIEW_SECONDS, Order, Result, Service

TICK = 0.4  # seconds between two looks at a job


@dataclasses.dataclass(frozen=True)
class Events:
  """The reactions of the components.

  Attributes:
    service: does the work.
    jobs: the job of each browser that has one; None while it is being checked.
  """

  service: Service
  jobs: dict[str, Job[Result] | None]

  def connect(self, page: Page, blocks: gr.Blocks) -> None:
    """Connects all components of `blocks`."""
    hidden: dict[str, Any] = {'show_progress': 'hidden', 'api_visibility': 'private'}
    many: dict[str, Any] = hidden | {'concurrency_limit': None}
    seen = [page.face, page.sight, page.moment, page.who, page.trim, page.begin, page.end]
    for source in page.face_file, page.webcam:
      source.change(self.take_face, source, seen, **hidden)
    page.face_examples.click(self.take_face_example, None, seen, **hidden)
    page.moment.release(self.look_again, [page.face, page.moment, page.who], [page.sight, page.who], **hidden)
    heard = [page.speech, page.heard]
    page.speech_file.change(self.take_speech, page.speech_file, heard, **hidden)
    page.microphone.change(self.take_recording, page.microphone, heard, **hidden)
    page.speech_examples.click(self.take_speech_example, None, heard, **hidden)
    page.text.change(self.take_text, page.text, heard, **hidden)
    given_all = [page.face, page.speech, page.text, page.voice, page.language, page.who, page.begin, page.end]
    given_all += [page.label, page.consent]
    shown = [page.status, page.result, page.preview, page.dub, page.stop]
    page.preview.click(self.preview, [page.preview_from, *given_all], shown, **many)
    page.dub.click(self.dub, given_all, shown, **many)
    page.stop.click(self.stop, None, None, **many)
    new = [page.face.change, page.speech.change, page.text.change, page.consent.change]
    gr.on(new, self.forget_error, None, page.status, **many)
    blocks.load(self.show_examples, None, [page.face_examples, page.speech_examples], **many)

  # ---- face

  def take_face(self, path: str | None) -> list[Any]:
    """Shows the faces in a new film."""
    nothing = [gr.update(visible=False), gr.update(visible=False), gr.update(visible=False), 0, None]
    if path is None:
      return [None, '', *nothing]
    face = Path(path)
    try:
      seen = self.service.look(face)
    except Exception as error:
      return [None, _told(error), *nothing]
    moment = gr.update(visible=not seen.still and seen.seconds > 0.1, maximum=max(0.1, seen.seconds), value=0)
    return [
      str(face),
      views.sight(seen, face.name, 0 if len(seen.boxes) == 1 else None, False) + self._saving(face),
      moment,
      _choices(seen, PROMINENT),
      gr.update(visible=not seen.still),
      0,
      None,
    ]

  def take_face_example(self, event: gr.EventData) -> list[Any]:
    """Takes the example that was clicked."""
    return self.take_face(self._example(event))

  def look_again(self, face: str | None, seconds: float, who: str) -> list[Any]:
    """Shows another frame of the film; who has been chosen stays chosen."""
    if face is None:
      return [gr.skip(), gr.skip()]
    try:
      seen = self.service.look(Path(face), seconds)
    except Exception as error:
      return [_told(error), gr.skip()]
    names = [_as_text(middle) for middle in seen.middles()]
    chosen = names.index(who) if who in names else None
    shown = views.sight(seen, Path(face).name, chosen, who == EVERYBODY) + self._saving(Path(face))
    return [shown, _choices(seen, who)]

  # ---- speech

  def take_speech(self, path: str | None) -> list[Any]:
    """Lets one hear a new recording."""
    if path is None:
      return [None, '']
    try:
      self.service.check_speech(Path(path))
    except Exception as error:
      return [None, _told(error)]
    return [path, views.sound(Path(path)) + self._saving(Path(path))]

  def take_recording(self, path: str | None) -> list[Any]:
    """Takes what was said into the microphone, which the page lets one hear already."""
    taken, shown = self.take_speech(path)
    return [taken, views.note('The recording will be spoken.') if taken else shown]

  def take_speech_example(self, event: gr.EventData) -> list[Any]:
    """Takes the example that was clicked."""
    return self.take_speech(self._example(event))

  def take_text(self, text: str) -> list[Any]:
    """Takes a text in place of a recording."""
    return [None, views.note('The text will be spoken.')] if text.strip() else [gr.skip(), gr.skip()]

  # ---- examples

  async def show_examples(self) -> list[str]:
    """Waits until the examples are drawn, and shows them."""
    drawn = await asyncio.wrap_future(self.service.examples)
    return [views.example_buttons(drawn.faces, 'faces'), views.example_buttons(drawn.speeches, 'speech')]

  def _example(self, event: gr.EventData) -> str:
    return str(self.service.examples.result().all()[event.name].file)

  def _saving(self, file: Path) -> str:
    return views.saving(file) if file.parent == self.service.storage.examples else ''

  # ---- dubs

  async def preview(self, request: gr.Request, begin: float | None, *given: Any) -> AsyncIterator[list[Any]]:
    """Makes two seconds, from `begin` on."""
    begin = begin or 0.0
    order = dataclasses.replace(_order(*given), only=(begin, begin + PREVIEW_SECONDS))
    async for shown in self._make(order, str(request.session_hash)):
      yield shown

  async def dub(self, request: gr.Request, *given: Any) -> AsyncIterator[list[Any]]:
    """Makes all of it."""
    async for shown in self._make(_order(*given), str(request.session_hash)):
      yield shown

  def stop(self, request: gr.Request) -> None:
    """Ends the browser's job."""
    job = self.jobs.pop(str(request.session_hash), None)
    if job is not None:
      job.cancel()

  def forget_error(self, request: gr.Request) -> Any:
    """Removes the line about what was given before; that of a job at work stays."""
    return gr.skip() if str(request.session_hash) in self.jobs else ''

  async def _make(self, order: Order, browser: str) -> AsyncIterator[list[Any]]:
    """Joins the line, and shows how things go until the dub is there; ends it if the browser leaves."""
    if browser in self.jobs:
      return
    idle = [gr.update(interactive=True), gr.update(interactive=True), gr.update(visible=False)]
    busy = [gr.update(interactive=False), gr.update(interactive=False), gr.update(visible=True)]
    unchanged = [gr.skip(), gr.skip(), gr.skip(), gr.skip()]
    self.jobs[browser] = job = None
    try:
      yield [views.progress(0, None), views.NO_RESULT, *busy]
      job = await asyncio.to_thread(self.service.order, order)
      if browser not in self.jobs:
        raise Cancelled  # stopped meanwhile
      self.jobs[browser] = job
      while not job.done:
        yield [views.progress(job.before, job.progress), *unchanged]
        await asyncio.sleep(TICK)
      yield ['', views.result(job.result()), *idle]
    except Cancelled:
      yield [views.note('Stopped. Nothing of it was kept.'), gr.skip(), *idle]
    except Exception as error:
      yield [_told(error), gr.skip(), *idle]
    finally:
      self.jobs.pop(browser, None)
      if job is not None:
        job.cancel()


def _told(error: Exception) -> str:
  """Shows an error in one line; one that is not the user's is logged."""
  if isinstance(error, UserError):
    return views.error(for_the_page(error))
  logging.error('the page met an error: %s', ''.join(traceback.format_exception(error)))
  return views.error(BUG)


def _order(
  face: str | None,
  speech: str | None,
  text: str,
  voice: str,
  language: str,
  who: str,
  begin: float | None,
  end: float | None,
  label: bool,
  consent: bool,
) -> Order:
  """Returns the order of somebody who has filled in the page; empty fields are None."""
  return Order(
    face=None if face is None else Path(face),
    speech=None if speech is None else Path(speech),
    text=text or '',
    voice=voice,
    language=language or '',
    face_at=None if who in (PROMINENT, EVERYBODY, SPEAKING) else _as_place(who),
    everybody=who == EVERYBODY,
    speaking=who == SPEAKING,
    part=None if not begin and end is None else (begin or 0.0, LATE if end is None else end),
    label=label,
    consent=consent,
  )


def _choices(seen: Sight, who: str) -> Any:
  """Returns a change of the choice of whom to dub, to the faces in this frame; `who` stays chosen."""
  faces = [(f'Face {k + 1}', _as_text(middle)) for k, middle in enumerate(seen.middles())]
  choices = [*faces, ('The most prominent', PROMINENT), ('Everybody', EVERYBODY)]
  if not seen.still:
    choices.append(('Whoever speaks in the film', SPEAKING))
  if who not in [value for _, value in choices]:
    choices.append((f'The face chosen at {_as_place(who)[2]:g} s', who))
  return gr.update(choices=choices, value=who, visible=len(faces) > 1 or who != PROMINENT)


def _as_text(middle: tuple[float, float, float]) -> str:
  return ','.join(f'{number:g}' for number in middle)


def _as_place(text: str) -> tuple[float, float, float]:
  x, y, time = (float(number) for number in text.split(','))
  return x, y, time
