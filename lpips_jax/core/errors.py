"""Bad input, as the library reports it, and other libraries' errors in one line."""

LINE = 200  # characters of a library's error


class UserError(Exception):
  """Bad input. Its message is one line that says what is wrong and what to do."""


def first_line(error: Exception) -> str:
  """What an error of a library is, in one line; of a long one the beginning and the end, where the reason may be."""
  line = str(error).strip().partition('\n')[0]
  if len(line) > LINE:
    line = f'{line[: LINE // 2]} … {line[-LINE // 2 :]}'
  return f'{type(error).__name__}: {line}'
