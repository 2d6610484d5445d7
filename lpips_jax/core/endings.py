"""The end of a process that fails: its one line on stderr and its exit status."""

import contextlib
import os
import sys
from typing import NamedTuple, NoReturn

from lpips_jax.core.files import shown

FAILED, BAD_INPUT, BY_SIGNAL = 1, 2, 128  # exit statuses; to the last, as shells do, the signal's number is added
TRY_AGAIN = os.EX_TEMPFAIL  # 75: the same command may succeed later, or goes on


class Ending(NamedTuple):
  """The end of a command that fails.

  Attributes:
    line: printed on stderr; None for a traceback.
    status: exit status.
    at_once: whether to skip the interpreter's own end, which has crashed while devices were at work, and fails without
      stdout.
  """

  line: str | None
  status: int
  at_once: bool = False


def report(ending: Ending) -> None:
  """Prints the error that is being handled on stderr: its line, or the traceback of a bug."""
  if ending.line is None:
    sys.excepthook(*sys.exc_info())
  else:
    print(f'{os.path.basename(sys.argv[0])}: {shown(" ".join(ending.line.split()))}', file=sys.stderr)


def exit_at_once(status: int) -> NoReturn:
  """Ends this process without the interpreter's own end: see `Ending`."""
  with contextlib.suppress(OSError):
    sys.stdout.flush()
  sys.stderr.flush()
  os._exit(status)
