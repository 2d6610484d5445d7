"""The parts of the page that change, as HTML; everything that comes from outside is escaped."""

import math
import re
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from lpips_jax.core.progress import Progress
from lpips_jax.web.examples import Example
from lpips_jax.web.faces import Sight
from lpips_jax.web.service import Result

NO_RESULT = '<p class="note">The video will be here, beside the film as it was.</p>'
STAGES = {'looking': 'Looking for faces', 'dubbing': 'Dubbing'}


def url_of(file: Path) -> str:
  """Returns the address, relative to the page's, under which a browser gets a file of the page."""
  return f'gradio_api/file={quote(str(file))}'


def error(line: str) -> str:
  """Shows a line of error where one looks."""
  return Markup('<p class="note bad" role="alert">{}</p>').format(line)


def note(line: str) -> str:
  """Shows a line that says how things are."""
  return Markup('<p class="note" role="status">{}</p>').format(line)


def sight(seen: Sight, name: str, chosen: int | None, everybody: bool) -> str:
  """Shows a frame with a button around each face.

  Args:
    seen: the frame.
    name: of the file.
    chosen: the number of the face to be dubbed, None if it is not one of these.
    everybody: whether all faces are.
  """
  boxes = Markup('').join(
    Markup(
      '<button type="button" class="face" data-face="{k}" aria-pressed="{pressed}" aria-label="Dub face {n}" '
      'style="left:{left:.2f}%;top:{top:.2f}%;width:{width:.2f}%;height:{height:.2f}%"><span>{n}</span></button>'
    ).format(
      k=k,
      n=k + 1,
      pressed='true' if everybody or k == chosen else 'false',
      left=100 * left / seen.width,
      top=100 * top / seen.height,
      width=100 * (right - left) / seen.width,
      height=100 * (bottom - top) / seen.height,
    )
    for k, (left, top, right, bottom) in enumerate(seen.boxes)
  )
  alt = f'The frame after {seen.time:.1f} s of {name}' if not seen.still else name
  return (
    Markup(
      '<figure class="sight"><div class="frame"><img src="{picture}" width="{width}" height="{height}" alt="{alt}">'
      '{boxes}</div><figcaption role="status">{found}</figcaption></figure>'
    )
  ).format(picture=seen.picture, width=seen.width, height=seen.height, alt=alt, boxes=boxes, found=_found(seen, name))


def sound(file: Path) -> str:
  """Lets one hear the speech."""
  return Markup(
    '<div class="sound"><audio controls preload="metadata" src="{}" aria-label="The speech"></audio>'
    '<p class="caption">{}</p></div>'
  ).format(url_of(file), file.name)


def example_buttons(examples: tuple[Example, ...], kind: str) -> str:
  """Shows examples to click."""
  buttons = Markup('').join(
    Markup('<button type="button" class="example" data-example="{name}">{picture}<span>{title}</span></button>').format(
      name=example.file.name,
      picture=Markup('<img src="{}" alt="" loading="lazy">').format(url_of(example.picture))
      if example.picture
      else Markup('<span class="wave" aria-hidden="true">♪</span>'),
      title=example.title,
    )
    for example in examples
  )
  return Markup('<div class="examples" role="group" aria-label="Examples of {}">{}</div>').format(kind, buttons)


def saving(example: Path) -> str:
  """Offers the file of an example, which the command line of a dub names."""
  return Markup('<p class="caption"><a href="{}" download="{}">Save this example</a></p>').format(
    url_of(example), example.name
  )


def progress(before: int, at: Progress | None) -> str:
  """Shows how far a job is; see `progress_line`."""
  share = None if before or at is None or not at.total else min(1.0, at.done / at.total)
  value = Markup('') if share is None else Markup(' value="{:.3f}"').format(share)
  role = Markup(' role="status"') if at is None else ''  # what changes all the time would be read out all the time
  return Markup('<div class="running"><p{}>{}</p><progress max="1"{} aria-label="Progress"></progress></div>').format(
    role, progress_line(before, at), value
  )


def progress_line(before: int, at: Progress | None) -> str:
  """Says how far a job is.

  Args:
    before: jobs that come first.
    at: its progress; None before it begins.
  """
  if before:
    others = 'One dub is' if before == 1 else f'{before} dubs are'
    return f'{others} before yours: you are number {before + 1} in the queue.'
  if at is None:
    return 'Getting ready…'
  words = [STAGES.get(at.stage, at.stage), f'{at.done} of {at.total} frames' if at.total else f'{at.done} frames']
  if at.rate:
    words.append(f'{at.rate:.1f} frames a second')
  if at.seconds_left is not None:
    words.append(f'{duration(at.seconds_left)} left')
  return ' · '.join(words)


def result(made: Result) -> str:
  """Shows a film before and after, playing in step, with everything to take along."""
  before = (
    Markup('<img src="{}" alt="The picture before">').format(url_of(made.before))
    if made.still
    else Markup('<video muted playsinline preload="auto" src="{}" aria-label="The film before"></video>').format(
      url_of(made.before)
    )
  )
  tracks = Markup('').join(
    Markup('<track kind="subtitles" label="What is said" src="{}" default>').format(url_of(file))
    for file in made.subtitles
    if file.suffix == '.vtt'
  )
  after = Markup('<video playsinline preload="auto" src="{}" aria-label="The film after">{}</video>').format(
    url_of(made.video), tracks
  )
  title = 'The whole dub' if made.only is None else f'The preview from {made.only[0]:g} s on'
  return Markup(
    '<div class="result" data-begin="{begin}" data-end="{end}" data-second="{second}">'
    '<p class="title" role="status">{title} is ready.</p>'
    '<div class="pair"><figure>{before}<figcaption>Before</figcaption></figure>'
    '<figure>{after}<figcaption>After</figcaption></figure></div>'
    '<div class="controls"><button type="button" class="play" aria-label="Play both">Play</button>'
    '<input class="seek" type="range" min="0" max="1" step="0.01" value="0" aria-label="Position, in seconds">'
    '<output class="clock">0:00</output></div>'
    '<div class="downloads">{downloads}</div>'
    '<div class="command"><p>The same from the command line:</p><pre tabindex="0"><code>{command}</code></pre>'
    '<button type="button" class="copy">Copy the command</button></div></div>'
  ).format(
    begin=made.part[0] if made.part else 0,
    end=made.part[1] if made.part else '',
    second=made.only[0] if made.only else 0,
    title=title,
    before=before,
    after=after,
    downloads=_downloads(made),
    command=_words(made.command),
  )


def duration(seconds: float) -> str:
  """Returns a time as people say it."""
  if seconds < 90:
    return f'{math.ceil(seconds)} s'
  return f'{round(seconds / 60)} min' if seconds < 5400 else f'{seconds / 3600:.1f} h'


def _words(command: str) -> Markup:
  """Returns a command whose words stay whole where its line breaks: browsers would break them at hyphens, too."""
  words = re.split(r'(\s+)', command)  # and what is between them
  return Markup('').join(Markup('<span>{}</span>').format(word) if word.strip() else word for word in words)


def _found(seen: Sight, name: str) -> str:
  number = len(seen.boxes)
  faces = 'No face is found in this frame' if not number else 'One face' if number == 1 else f'{number} faces'
  length = 'a still picture' if seen.still else f'{seen.seconds:.1f} s'
  hint = ': click on whom to dub.' if number > 1 else '.' if number else ': try another moment.'
  return f'{faces}{hint} {name}, {seen.width} × {seen.height}, {length}'


def _downloads(made: Result) -> Markup:
  files = [('Download the video', made.video), ('Boxes of the face', made.boxes)]
  files += [(f'Subtitles ({file.suffix})', file) for file in made.subtitles]
  return Markup('').join(
    Markup('<a class="download" href="{}" download="{}">{}</a>').format(url_of(file), file.name, title)
    for title, file in files
  )
