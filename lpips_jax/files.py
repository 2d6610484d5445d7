"""Files that appear whole or not at all."""

import os
from pathlib import Path


def write_whole(path: Path, content: bytes | str) -> None:
  """Writes beside and renames, so that nobody ever sees half of it; text as UTF-8."""
  beside = path.with_name(path.name + '.part')
  beside.write_bytes(content.encode() if isinstance(content, str) else content)
  os.replace(beside, path)
