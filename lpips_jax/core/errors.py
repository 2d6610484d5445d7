"""UserError, for bad input, Cancelled, and other libraries' errors in one line."""

import re
from collections.abc import Iterable

MAX_CHARACTERS = 200  # of another library's error


class UserError(Exception):
  """An error in the input: one line that says what is wrong and what to do.

  Args:
    message: the line. It calls an argument by its name in Python, such as `max_pixels`.
    *options: the arguments that it names. Callers from Python read these names; a command shows them as its flags.
  """

  def __init__(self, message: str, *options: str) -> None:
    super().__init__(message)
    self.options = options

  def as_flags(self) -> str:
    """Returns the line for the user of a command: `--max_pixels` in place of the first `max_pixels`."""
    line = str(self)
    for option in self.options:
      line, found = re.subn(rf'(?<![\w/.-]){re.escape(option)}(?!\w)', f'--{option}', line, count=1)
      if not found:
        line = f'{line} (--{option})'
    return line


class TryAgain(UserError):
  """An error that passes: the same command may succeed later."""


class Cancelled(Exception):
  """Ends work that was cancelled; everything that it had begun is gone."""


def check_choice(option: str, value: object, choices: Iterable[str]) -> None:
  """Raises UserError unless the value of an argument is one of its choices."""
  names = list(choices)
  if value not in names:
    raise UserError(f'{option} must be one of {", ".join(names)}, not {value!r}', option)


def first_line(error: BaseException) -> str:
  """Returns another library's error as one line: if it is long, its beginning and its end, where the reason may be."""
  line = str(error).strip().partition('\n')[0]
  if len(line) > MAX_CHARACTERS:
    line = f'{line[: MAX_CHARACTERS // 2]} … {line[-MAX_CHARACTERS // 2 :]}'
  return f'{type(error).__name__}: {line}'
