"""Files that appear whole or not at all."""

import os
from pathlib import Path


def write_whole(path: Path, content: bytes | str) -> None:
  """Writes beside and renames, so that nobody ever sees half of it; text as UTF-8.

  Raises:
    OSError: it cannot be written, such as to a full disk; then nothing is left behind, and the error names the file.
  """
  beside = path.with_name(path.name + '.part')
  try:
    beside.write_bytes(content.encode() if isinstance(content, str) else content)
    os.replace(beside, path)
  except OSError as error:
    beside.unlink(missing_ok=True)
    raise OSError(error.errno, error.strerror, str(path)) from error
