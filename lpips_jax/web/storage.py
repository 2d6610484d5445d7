"""Files of the page: a folder for what people upload and get, which nothing outlives."""

import contextlib
import fcntl
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from absl import logging

PREFIX = 'lpips-jax-page-'
MAX_AGE = 3600.0  # seconds for which uploads and results are kept
SWEEP_SECONDS = 20.0
MAX_IDLE = 30.0  # seconds for which a file that arrives may pause


class Storage:
  """A temporary folder; use it as a context manager, which removes it at the end.

  Attributes:
    root: the folder; only this user can look into it.
    uploads: what browsers have sent, each file in a folder named by a digest of its content.
    results: what the page has made, in folders with names that cannot be guessed.
    examples: what anybody may see.
  """

  def __init__(self) -> None:
    remove_remains()
    self.root = Path(tempfile.mkdtemp(prefix=PREFIX))  # mode 0700
    self.uploads, self.results, self.examples = (self.root / name for name in ('uploads', 'results', 'examples'))
    for directory in self.uploads, self.results, self.examples:
      directory.mkdir()
    self._held: set[Path] = set()
    self._lock = os.open(self.root / '.lock', os.O_CREAT | os.O_RDWR)
    fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    self._closed = threading.Event()
    self._sweeper = threading.Thread(target=self._sweep_now_and_then, name='sweeper', daemon=True)
    self._sweeper.start()

  def __enter__(self) -> 'Storage':
    return self

  def __exit__(self, *_: object) -> None:
    self._closed.set()
    self._sweeper.join()
    os.close(self._lock)
    shutil.rmtree(self.root, ignore_errors=True)

  def new_folder(self) -> Path:
    """Makes a folder under `results`, whose name nobody can guess."""
    folder = self.results / secrets.token_urlsafe(18)
    folder.mkdir()
    return folder

  def remove(self, folder: Path) -> None:
    """Removes a folder of `new_folder`."""
    shutil.rmtree(folder, ignore_errors=True)

  def discard(self, upload: Path) -> None:
    """Removes an upload that cannot be used; other files stay where they are."""
    if upload.parent.parent == self.uploads:
      shutil.rmtree(upload.parent, ignore_errors=True)

  @contextlib.contextmanager
  def held(self, *files: Path) -> Iterator[None]:
    """Keeps the folders of some files during the body, however old they become."""
    folders = {file.parent for file in files}
    self._held |= folders
    try:
      yield
    finally:
      self._held -= folders
      for folder in folders:
        with contextlib.suppress(OSError):
          os.utime(folder)  # the hour begins now

  def sweep(self, max_age: float = MAX_AGE) -> None:
    """Removes uploads and results that are older than this, in seconds, and remains of files that did not arrive."""
    for entry in [*self.uploads.iterdir(), *self.results.iterdir()]:
      with contextlib.suppress(OSError):
        age = time.time() - entry.stat().st_mtime
        if not entry.is_dir():  # an upload on its way, or one that Gradio has dropped
          if age >= MAX_IDLE:
            entry.unlink()
        elif entry not in self._held and age >= max_age:
          shutil.rmtree(entry)

  def _sweep_now_and_then(self) -> None:
    while not self._closed.wait(SWEEP_SECONDS):
      self.sweep()


def remove_remains() -> None:
  """Removes the folders of pages that were killed: nobody holds their locks any more."""
  for root in Path(tempfile.gettempdir()).glob(f'{PREFIX}*'):
    with contextlib.suppress(OSError):
      if root.stat().st_uid != os.getuid():
        continue
      with (root / '.lock').open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(root)
        logging.info('removed %s, which a page had left', root)
