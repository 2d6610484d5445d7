"""What the commands share: flags that fail with one clear line, and bad input that exits with status 2."""

import contextlib
import sys
from collections.abc import Callable, Sequence

from absl import app, flags


class UserError(Exception):
  """Bad input. Its message is one line that says what is wrong and what to do."""


def run(main: Callable[[], None]) -> None:
  """Parses the flags and runs `main`; bad flags and `UserError`s become one line on stderr and exit status 2."""
  app.run(lambda _: _guarded(main), flags_parser=_parse_flags)


def require_flags(*names: str) -> None:
  """Raises UserError unless each of the flags was given."""
  missing = [f'--{name}' for name in names if flags.FLAGS[name].value in (None, '')]
  if missing:
    fail(f'missing {", ".join(missing)}: see --help')


def fail(message: str) -> None:
  raise UserError(message)


def _guarded(main: Callable[[], None]) -> None:
  try:
    main()
  except UserError as error:
    _exit(error)


def _parse_flags(argv: Sequence[str]) -> list[str]:
  """absl's own parser prints several lines and exits with 1; ml_collections raises through it."""
  try:
    with contextlib.redirect_stderr(sys.stderr):
      rest = flags.FLAGS(argv)
  except (flags.Error, AttributeError, KeyError, ValueError, TypeError, OSError, ImportError, SyntaxError) as error:
    _exit(error)
  if len(rest) > 1:
    _exit(f'unexpected argument {rest[1]!r}: every option starts with --')
  return rest


def _exit(error: object) -> None:
  line = ' '.join(str(error).split())
  print(f'{sys.argv[0].rsplit("/", 1)[-1]}: {line}', file=sys.stderr)
  sys.exit(2)
