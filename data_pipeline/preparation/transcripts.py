"""Transcripts: what is said in a clip, as the corpora distribute it, and in the parts that are cut from the clip."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from data_pipeline.records import Word

_TITLE = 'Text:'  # of the first line of LRS2's and LRS3's files; what is said begins in column 7
_FIRST_COLUMN = 7
_TABLE = ['WORD', 'START', 'END']  # the head of the table of word times


def read_transcript(path: Path) -> tuple[str, list[Word]]:
  """Reads what is said in a clip.

  Args:
    path: a file of LRS2 or LRS3, whose first line is `Text:  …` and which may end in a table of words,
      `WORD START END ASDSCORE` in seconds; or any text in UTF-8. Characters that are not UTF-8 are replaced.

  Returns:
    The text, '' if there is no such file; and its words with their times, none if these are unknown.
  """
  if not path.is_file():
    return '', []
  lines = path.read_bytes().decode('utf-8-sig', 'replace').splitlines()
  if not lines or not lines[0].startswith(_TITLE):
    return ' '.join(' '.join(lines).split()), []
  return ' '.join(lines[0][_FIRST_COLUMN - 1 :].split()), _words(lines)


def to_array(record: dict[str, Any]) -> np.ndarray:
  """Returns the `text` and `words` of a record as an array for a file, (n,) uint8."""
  said = {'text': record.get('text', ''), 'words': [list(word) for word in record.get('words', ())]}
  return np.frombuffer(json.dumps(said).encode(), np.uint8)


def from_array(array: np.ndarray) -> dict[str, Any]:
  """Returns `text` and `words` of a record from what `to_array` made of them."""
  said = json.loads(array.tobytes())
  return {'text': said['text'], 'words': [Word(*word) for word in said['words']]}


def _words(lines: list[str]) -> list[Word]:
  """Returns the rows of the table of words; a row that is none ends it."""
  table = next((k for k, line in enumerate(lines) if line.split()[:3] == _TABLE), len(lines))
  words = []
  for line in lines[table + 1 :]:
    try:
      name, start, end = line.split()[:3]
      words.append(Word(name, float(start), float(end)))
    except ValueError:
      break
  return words
