"""Subtitles of what is said, in files of SubRip (.srt) and WebVTT (.vtt)."""

import html
import itertools
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from lpips_jax.core.errors import UserError
from lpips_jax.core.files import PathLike, write_whole
from lpips_jax.speaking.text import ends_sentence
from lpips_jax.speaking.utterance import Cue

SUFFIXES = '.srt', '.vtt'
LINE = 42  # columns of a line, as on television; two are shown at once
LONGEST = 7.0  # seconds that one is shown
SHORTEST = 1.0  # seconds that one is shown, if the next one leaves that much
NEAR = 0.7  # seconds between sentences that may be shown together
PHRASE_END = re.compile(r'[,;:—–、，；：]["\'”’»)\]]*\s*$|\s[—–-]\s*$')
# Words that begin a phrase of English.
LINKS = frozenset(
  ('and', 'or', 'but', 'nor', 'so', 'yet', 'because', 'that', 'which', 'who', 'when', 'while', 'if', 'although', 'as',
   'than', 'to', 'of', 'in', 'on', 'at', 'for', 'with')
)  # fmt: skip


def check_subtitles(path: PathLike) -> None:
  """Raises UserError unless subtitles can be written to this path."""
  if os.path.splitext(path)[1].lower() not in SUFFIXES:
    raise UserError(f'subtitles must end in {" or ".join(SUFFIXES)}, not {os.path.basename(path)!r}', 'subtitles')
  from lpips_jax.media.video_writer import check_place  # here, because it loads FFmpeg

  check_place(path)


def write_subtitles(path: PathLike, cues: Iterable[Cue]) -> None:
  """Writes subtitles in UTF-8, whole or not at all; `arranged` says how cues become subtitles.

  Args:
    path: a name that ends in .srt or .vtt.
    cues: such as `Utterance.cues`.

  Raises:
    UserError: the name ends otherwise, or the file cannot be written there.
  """
  check_subtitles(path)
  shown = arranged(cues)
  if os.path.splitext(path)[1].lower() == '.vtt':
    blocks = ['WEBVTT', *(f'{_times(cue, ".")}\n{html.escape(cue.text, quote=False)}' for cue in shown)]
  else:
    blocks = [f'{k}\n{_times(cue, ",")}\n{cue.text.replace("-->", "→")}' for k, cue in enumerate(shown, start=1)]
  write_whole(Path(path), '\n\n'.join(blocks) + '\n')


def arranged(cues: Iterable[Cue]) -> list[Cue]:
  """Groups words into subtitles of at most two lines of 42 columns, each of part of a sentence, or of a few short ones.

  A subtitle begins with the voice, and ends with it; a short one stays for a second if nothing follows it sooner.
  A cue of several words is divided, in proportion to their letters.

  Args:
    cues: in order; texts with the blanks that follow them.

  Returns:
    Cues whose texts are lines, with `\\n` between them.
  """
  words = [word for cue in cues for word in _divided(cue)]
  parts: list[list[Cue]] = []
  for sentence in _sentences(words):
    halves = list(_split(sentence))
    if parts and len(halves) == 1 and _joins(parts[-1], halves[0]):
      parts[-1] = parts[-1] + halves[0]
    else:
      parts += halves
  shown = [Cue(part[0].begin, part[-1].end, '\n'.join(_lines(part) or ())) for part in parts]
  for k, cue in enumerate(shown):
    following = shown[k + 1].begin if k + 1 < len(shown) else cue.begin + SHORTEST
    shown[k] = replace(cue, end=max(cue.end, min(cue.begin + SHORTEST, following)))
  return shown


def _divided(cue: Cue) -> Iterator[Cue]:
  """Yields the words of a cue, in pieces of at most a line."""
  pieces = [piece for word in re.findall(r'\S+\s*', cue.text.lstrip()) for piece in _pieces(word)]
  letters = sum(len(piece.strip()) for piece in pieces)
  begin = cue.begin
  for piece in pieces:
    end = begin + (cue.end - cue.begin) * len(piece.strip()) / letters
    yield Cue(begin, cue.end if piece is pieces[-1] else end, piece)
    begin = end


def _pieces(word: str) -> Iterator[str]:
  piece = ''
  for character in word:
    if piece and columns((piece + character).rstrip()) > LINE:
      yield piece
      piece = ''
    piece += character
  yield piece


def columns(text: str) -> int:
  """Returns the width of a text: Chinese characters and their like are two columns wide, joined marks none."""
  if text.isascii():
    return len(text)
  return sum(
    0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in 'WF' else 1
    for character in text
  )


def _sentences(words: Sequence[Cue]) -> Iterator[list[Cue]]:
  sentence: list[Cue] = []
  for place, word in enumerate(words):
    sentence.append(word)
    if ends_sentence(word.text, words[place + 1].text if place + 1 < len(words) else ''):
      yield sentence
      sentence = []


def _split(words: list[Cue]) -> Iterator[list[Cue]]:
  """Yields parts of a sentence that can be shown at once, split where it hurts least."""
  if len(words) == 1 or (words[-1].end - words[0].begin <= LONGEST and _lines(words)):
    yield words
    return
  place = _best_break(words, range(1, len(words)))
  yield from _split(words[:place])
  yield from _split(words[place:])


def _joins(before: Sequence[Cue], after: Sequence[Cue]) -> bool:
  """Returns whether a sentence can be shown together with what comes before it."""
  near = after[0].begin - before[-1].end <= NEAR and after[-1].end - before[0].begin <= LONGEST
  short = columns(_text(before)) <= LINE and columns(_text(after)) <= LINE
  return near and short and '\n' not in before[-1].text and _lines([*before, *after]) is not None


def _lines(words: Sequence[Cue]) -> list[str] | None:
  """Returns the text in one line or two, about as long; None if it does not fit."""
  if columns(_text(words)) <= LINE:
    return [_text(words)]
  if len(words) == 1 or columns(_text(words)) > 2 * LINE + 1:
    return None
  halves = [(_text(words[:place]), _text(words[place:])) for place in range(1, len(words))]
  fitting = [place for place, half in enumerate(halves, start=1) if max(map(columns, half)) <= LINE]
  return list(halves[_best_break(words, fitting) - 1]) if fitting else None


def _best_break(words: Sequence[Cue], places: Iterable[int]) -> int:
  """Returns the place of these before whose word a break is least bad: near the middle, and between phrases."""
  ends = list(itertools.accumulate(columns(word.text.rstrip()) + word.text[-1:].isspace() for word in words))

  def cost(place: int) -> float:
    imbalance = abs(2 * ends[place - 1] / ends[-1] - 1)
    before, after = words[place - 1].text, words[place].text
    if ends_sentence(before, after):
      return imbalance - 1.0
    if PHRASE_END.search(before):
      return imbalance - 0.7
    return imbalance - (0.2 if after.strip().lower() in LINKS else 0.0)

  return min(places, key=cost)


def _text(words: Sequence[Cue]) -> str:
  return ' '.join(''.join(word.text for word in words).split())


def _times(cue: Cue, point: str) -> str:
  return f'{_time(cue.begin, point)} --> {_time(cue.end, point)}'


def _time(seconds: float, point: str) -> str:
  milliseconds = round(1000 * seconds)
  minutes, rest = divmod(milliseconds, 60_000)
  return f'{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}{point}{rest % 1000:03d}'
