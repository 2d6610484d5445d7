"""Builds the corpus `folder` from prepared clips, by the command."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def build_folder(manual_dir: Path | str, data_dir: Path | str, *options: str) -> subprocess.CompletedProcess:
  """Runs the command; raises RuntimeError with its stderr if it fails."""
  line = ['-m', 'data_pipeline.build', 'data_pipeline/corpora/folder', f'--manual_dir={manual_dir}']
  line += [f'--data_dir={data_dir}', *options]
  result = subprocess.run([sys.executable, *line], cwd=ROOT, capture_output=True, text=True)
  if result.returncode:
    raise RuntimeError(result.stderr)
  return result


def files_of(directory: Path) -> dict[str, bytes]:
  """Returns the contents of the files beneath a directory, by their names in it."""
  return {path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob('*') if path.is_file()}
