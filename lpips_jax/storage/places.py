"""Paths of this machine, URLs of buckets, and URLs that are not known here."""

import os
from collections.abc import Iterable
from pathlib import Path

from lpips_jax.core.errors import UserError
from lpips_jax.core.files import URL, PathLike, expand_user

SCHEMES = 'gs', 's3'
MAX_NAME_BYTES = 200  # files of this machine may have 255, of which copies need some for endings


def is_remote(path: PathLike) -> bool:
  """Returns whether a path is the URL of something in a bucket; raises UserError for URLs that are not known here."""
  found = URL.fullmatch(str(path))
  if not found:
    return False
  scheme, slashes, rest = found.groups()
  known = ' and '.join(f'{name}://' for name in SCHEMES)
  if scheme.lower() not in SCHEMES:
    raise UserError(f'{path}: of URLs, {known} are known here: give one of these, or a path of this machine')
  if scheme not in SCHEMES or slashes != '//' or not rest.strip('/'):
    raise UserError(f'{path} is no URL of a bucket: write {scheme.lower()}://BUCKET/PATH')
  parts = rest.split('/')
  if {'.', '..'} & set(parts):  # to stores these are names like others, and local copies would be elsewhere
    raise UserError(f'{path} has . or .. among its directories: write the whole URL')
  if max(len(os.fsencode(part)) for part in parts) > MAX_NAME_BYTES:
    raise UserError(f'{path} has a name of more than {MAX_NAME_BYTES} bytes, which no local copy can have: shorten it')
  return True


def require_local(**paths: PathLike | None) -> None:
  """Raises UserError, which names the argument, if one of these paths is a URL."""
  for name, path in paths.items():
    if path is not None and URL.match(str(path)):
      raise UserError(f'{name}={path} must be on this machine: copy it here first', name)


def place(path: PathLike) -> str | Path:
  """Returns a path of this machine as a `Path`, and a URL as it is, without a slash at its end."""
  return str(path).rstrip('/') if is_remote(path) else expand_user(path)


def join(path: PathLike, name: str) -> str | Path:
  """Returns the path of something in a directory or beneath a URL."""
  return f'{str(path).rstrip("/")}/{name}' if is_remote(path) else Path(path) / name


def remote_ones(paths: Iterable[PathLike | None]) -> list[str]:
  """Returns those of some paths that are URLs."""
  return [str(path) for path in paths if path is not None and is_remote(path)]
