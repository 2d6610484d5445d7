"""Command lines: flags and bad input that fail with one clear line and status 2, logs on stdout, signals.

Only commands import this module; libraries raise `core.errors.UserError`.
"""

import ast
import copy
import errno
import io
import logging as python_logging
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from types import FrameType
from typing import Any, NoReturn

from absl import flags, logging

from lpips_jax.core.endings import BAD_INPUT, BY_SIGNAL, FAILED, TRY_AGAIN, Ending, exit_at_once, report
from lpips_jax.core.errors import TryAgain, UserError, first_line
from lpips_jax.core.files import URL, expand_home, shown

HELP = '--help', '-help', '-h', '--helpfull', '--helpshort'


def run(
  main: Callable[[], None],
  *positional: str,
  fail_together: Callable[[Ending], None] | None = None,
  remote: Collection[str] = (),
) -> None:
  """Parses this process's flags and runs `main`.

  Bad flags, `UserError`s and files that the system refuses become one line on stderr and exit status 2, `TryAgain` one
  line and status 75, Ctrl-C one line and status 130, SIGTERM and SIGHUP likewise 143 and 129, numbers that are no
  longer finite one line and status 1; other errors are bugs, and keep their traceback. Logs go to stdout: stderr holds
  errors alone.

  Args:
    main: does the command's work; reads absl's flags.
    *positional: the flags that may also be given as bare arguments, in this order.
    fail_together: called before a failure is reported; if other processes have to end with this one, it reports the
      failure itself, and does not return.
    remote: the flags, and the keys of the config such as `config.data.data_dir`, that `main` takes as URLs, too, or
      that are no paths; a URL in any other is refused.
  """
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')  # XLA's remarks on the machine
  _log_to_stdout()
  threading.excepthook = _log_failed_thread
  sys.unraisablehook = _log_unraisable
  _interrupt_on(signal.SIGTERM, signal.SIGHUP)
  try:
    if any(argument in HELP for argument in sys.argv[1:]):
      print(_help(everything='--helpfull' in sys.argv))
      return
    _parse(positional)
    _refuse_urls(remote)
    if 'verbosity' not in flags.FLAGS or not flags.FLAGS['verbosity'].present:
      logging.set_verbosity(logging.WARNING)  # Orbax and TFDS log much
    main()
    sys.stdout.flush()
  except (Exception, KeyboardInterrupt) as error:
    ending = _ending(error)
    if fail_together:
      fail_together(ending)
    if ending.line is None:
      raise
    report(ending)
    if ending.at_once:
      exit_at_once(ending.status)
    sys.exit(ending.status)
  finally:
    _end_undisturbed()


def require_flags(*names: str) -> None:
  """Raises UserError unless each of the flags was given."""
  missing = [f'--{name}' for name in names if flags.FLAGS[name].value in (None, '', [])]
  if missing:
    fail(f'missing {", ".join(missing)}: see --help')


def fail(message: str) -> NoReturn:
  """Raises UserError."""
  raise UserError(message)


def _log_to_stdout() -> None:
  if isinstance(sys.stdout, io.TextIOWrapper):
    sys.stdout.reconfigure(errors='backslashreplace')  # names of files may be no text
  logging.use_absl_handler()
  logging.get_absl_handler().python_handler.stream = sys.stdout
  logging.get_absl_handler().setFormatter(_Formatter())
  python_logging.captureWarnings(True)  # also those of libraries


class _Formatter(logging.PythonFormatter):
  """Logs one line per library error, as errors that matter are raised as well. --verbosity=1 shows tracebacks.

  Copies of what is in a bucket go by its URL.
  """

  def format(self, record: python_logging.LogRecord) -> str:
    if not logging.level_debug():
      record = copy.copy(record)
      record.exc_info = record.exc_text = None
    return shown(super().format(record))


def _log_failed_thread(failed: threading.ExceptHookArgs) -> None:
  """Logs a library's failed thread as a warning: the command reports what it means. --verbosity=1 shows tracebacks."""
  _log_briefly(f'{failed.thread.name if failed.thread else "a thread"} ended: ', failed)


def _log_unraisable(failed: Any) -> None:
  """Logs errors that Python cannot raise, such as of libraries' destructors, as `_log_failed_thread` does."""
  _log_briefly('', failed)


def _log_briefly(title: str, failed: Any) -> None:
  """Logs an error's first line, and for --verbosity=1 its traceback; `failed` is the argument of Python's hooks."""
  logging.warning('%s%s', title, first_line(failed.exc_value or failed.exc_type()))
  logging.debug('%s', title, exc_info=(failed.exc_type, failed.exc_value, failed.exc_traceback))


def _interrupt_on(*numbers: signal.Signals) -> None:
  """Lets signals end the command as Ctrl-C does, after tidying up, unless its parent process ignores them."""

  def interrupt(number: int, _: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt(signal.Signals(number))

  for number in numbers:
    if signal.getsignal(number) == signal.SIG_DFL:
      signal.signal(number, interrupt)


def _end_undisturbed() -> None:
  """Ignores signals from now on: while the interpreter ends they would be raised in the midst of its tidying up."""
  for number in signal.SIGTERM, signal.SIGHUP:
    if callable(signal.getsignal(number)):
      signal.signal(number, signal.SIG_IGN)


def _ending(error: BaseException) -> Ending:
  """Returns the line and the exit status of an error."""
  if isinstance(error, UserError):
    return Ending(error.as_flags(), TRY_AGAIN if isinstance(error, TryAgain) else BAD_INPUT)
  if isinstance(error, BrokenPipeError):
    return Ending('nobody reads the output any more', BY_SIGNAL + signal.SIGPIPE, at_once=True)
  if isinstance(error, OSError) and error.filename is not None:
    return Ending(f'{error.filename}: {error.strerror}', BAD_INPUT)
  if isinstance(error, OSError) and error.errno == errno.ENOSPC:  # where stdout goes
    return Ending(error.strerror, BAD_INPUT, at_once=True)
  if isinstance(error, FloatingPointError):
    return Ending(str(error), FAILED)
  if isinstance(error, KeyboardInterrupt):
    number = error.args[0] if error.args else signal.SIGINT
    line = 'interrupted' if number == signal.SIGINT else f'ended by {number.name}'
    return Ending(line, BY_SIGNAL + number, at_once=True)
  return Ending(None, FAILED)


def _parse(positional: Sequence[str]) -> None:
  """Parses flags. A config file runs as they are parsed, so its errors are bad input, too."""
  try:
    rest = flags.FLAGS([sys.argv[0], *map(expand_home, sys.argv[1:])])[1:]
    open_ones = [name for name in positional if not flags.FLAGS[name].present]
    for name, value in zip(open_ones, tuple(rest), strict=False):
      flags.FLAGS[name].parse(value)
      rest.pop(0)
    for name in flags.FLAGS:  # ml_collections reports a file that it could not load only once its value is used
      hasattr(flags.FLAGS[name].value, 'used')
  except flags.Error as error:
    raise UserError(_flag_problem(error)) from error
  except Exception as error:
    raise UserError(_config_problem(error)) from error
  if rest:
    fail(f'unexpected argument {rest[0]!r}: every option starts with --')


def _refuse_urls(remote: Collection[str]) -> None:
  """Raises UserError for a URL, or what a shell or `pathlib` made of one, that would be taken for a local path."""
  for name in flags.FLAGS:
    flag = flags.FLAGS[name]
    for key, text in _texts(name, flag.value) if flag.present else ():
      if key not in remote and any(URL.match(part) for part in re.split('[=,]', text)):
        fail(f'--{key}={text} must be on this machine: copy it here first')


def _texts(name: str, value: Any) -> Iterator[tuple[str, str]]:
  """Yields the texts of a flag's value, each with the flag's name, or the key of a config."""
  if isinstance(value, str):
    yield name, value
  elif hasattr(value, 'items'):
    for key, inner in value.items():
      yield from _texts(f'{name}.{key}', inner)
  elif isinstance(value, list | tuple):
    for item in value:
      yield from _texts(name, item)


def _flag_problem(error: flags.Error) -> str:
  """Returns the message without the traceback that ml_collections adds when the function of a config file fails."""
  flag, traceback, rest = str(error).partition('Error whilst parsing config file')
  return flag + rest.strip().splitlines()[-1] if traceback else flag


def _config_problem(error: BaseException) -> str:
  """Returns one line for an error in loading a config or setting its keys."""
  error = error.__cause__ or error
  text = str(error)
  if isinstance(error, OSError):
    return f'--config cannot be read: {text.splitlines()[-1].strip()}'
  if isinstance(error, AttributeError | KeyError) and text[:1] in '"\'':
    # ml_collections quotes its own message
    return f'--config has no key {ast.literal_eval(text)}'.replace(' Did you mean', ': did you mean')
  return f'--config cannot be used: {type(error).__name__}: {text}'


def _help(everything: bool) -> str:
  document = (sys.modules['__main__'].__doc__ or '').strip()
  listing = flags.FLAGS.get_help() if everything else flags.FLAGS.main_module_help()
  return f'{document}\n\nflags:\n{listing}'
