"""The values of a sweep, from texts such as `optimizer.learning_rate=1e-4,3e-4`, and names for their combinations."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lpips_jax.core.errors import UserError

QUOTES, OPENING, CLOSING = '\'"', '([{', ')]}'
MAX_NAME = 100  # characters of a run's name
DIGEST = 8  # characters of the digest of a combination that its name cannot spell out


class Grid(NamedTuple):
  """The values that a sweep gives to one key of the config.

  Attributes:
    key: with dots, without `config.`.
    values: as given.
  """

  key: str
  values: tuple[str, ...]


def parse_grid(text: str) -> Grid:
  """Reads `KEY=VALUE,VALUE,…`. Commas within brackets or quotes belong to a value; quotes around a value are dropped.

  Raises:
    UserError: the text has another form.
  """
  key, equals, listed = (part.strip() for part in text.partition('='))
  if not (key and equals and listed):
    raise UserError(f'grid={text} gives no values: give KEY=VALUE,VALUE', 'grid')
  values = tuple(_unquoted(value.strip()) for value in _split(listed, text))
  return Grid(key.removeprefix('config.'), values)


def short_keys(keys: Sequence[str]) -> dict[str, str]:
  """Returns the shortest ending of each key that no other key has: `learning_rate` for `optimizer.learning_rate`."""
  endings = {key: ['.'.join(key.split('.')[-n:]) for n in range(1, key.count('.') + 2)] for key in keys}
  taken = [ending for of_key in endings.values() for ending in of_key]
  return {key: next((ending for ending in of_key if taken.count(ending) == 1), key) for key, of_key in endings.items()}


def name_of(values: Mapping[str, str]) -> str:
  """Returns the name of a combination, which is also that of its directory: `learning_rate=0.0001,sync=0.01`.

  A name that would be long, or would need characters that file systems or shells treat in their own ways, is shortened
  and ends with a digest of the combination.
  """
  keys = short_keys(list(values))
  plain = {key: re.sub(r'[^\w.=+-]+', '-', value, flags=re.ASCII) for key, value in values.items()}
  name = ','.join(f'{keys[key]}={value.strip("-") if value != values[key] else value}' for key, value in plain.items())
  if plain == dict(values) and all(values.values()) and len(name) <= MAX_NAME:
    return name
  digest = hashlib.sha256(json.dumps(dict(values)).encode()).hexdigest()[:DIGEST]
  return f'{name[: MAX_NAME - DIGEST - 1]}-{digest}'


def _split(listed: str, text: str) -> list[str]:
  """Splits at commas that are in no brackets and no quotes."""
  parts, depth, quote = [''], 0, ''
  for character in listed:
    if quote:
      quote = '' if character == quote else quote
    elif character in QUOTES:
      quote = character
    elif character == ',' and not depth:
      parts.append('')
      continue
    elif character in OPENING + CLOSING:
      depth += 1 if character in OPENING else -1
      if depth < 0:
        break
    parts[-1] += character
  if quote or depth:
    raise UserError(f'grid={text}: a {"quote" if quote else "bracket"} has no partner', 'grid')
  if not all(part.strip() for part in parts):
    raise UserError(f'grid={text}: a value is empty, give "" if that is meant', 'grid')
  return parts


def _unquoted(value: str) -> str:
  quoted = len(value) > 1 and value[0] in QUOTES and value.find(value[0], 1) == len(value) - 1
  return value[1:-1] if quoted else value
