"""Single files by path or URL alike: read and written whole, deleted, and listed."""

from pathlib import Path

from lpips_jax.core.files import PathLike, write_whole
from lpips_jax.storage import stores
from lpips_jax.storage.places import is_remote


def read(path: PathLike, first: int | None = None) -> bytes | None:
  """Returns the content of a file, or its first bytes; None if there is no such file.

  Args:
    path: of this machine, or a URL.
    first: how many bytes to read; by default all. An object is not copied further than that.

  Raises:
    UserError: a URL cannot be read.
    OSError: a file cannot be read.
  """
  if not is_remote(path):
    if not Path(path).is_file():
      return None
    with open(path, 'rb') as file:
      return file.read() if first is None else file.read(first)
  url = str(path)
  with stores.explained(url, 'read'):
    try:
      return stores.persistently(lambda: stores.read(url, first), url)
    except FileNotFoundError:
      return None


def write(path: PathLike, content: bytes | str) -> None:
  """Writes a file that appears whole or not at all, with the directories around it; text as UTF-8.

  Raises:
    UserError: a URL cannot be written to, or there is something else than a file.
    OSError: a file cannot be written.
  """
  if not is_remote(path):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_whole(Path(path), content)
    return
  url = str(path)
  data = content.encode() if isinstance(content, str) else content
  with stores.explained(url, 'written to'):
    stores.persistently(lambda: stores.write(url, data), url)


def delete(path: PathLike) -> None:
  """Deletes a file, if it is there; raises UserError or OSError as `write` does."""
  if not is_remote(path):
    Path(path).unlink(missing_ok=True)
    return
  url = str(path)
  with stores.explained(url, 'written to'):
    stores.persistently(lambda: stores.delete(url), url)


def sizes_below(url: str) -> dict[str, int]:
  """Returns the sizes of all objects beneath a URL, in bytes, by their names there; raises UserError."""
  with stores.explained(url, 'read'):
    return {file.name: file.size for file in stores.persistently(lambda: stores.files_below(url), url)}
