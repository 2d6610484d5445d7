"""Every command handles bad flags, bad input, Ctrl-C and --help in the same way."""

import logging
import os
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest
from absl import flags
from absl import logging as absl_logging
from ml_collections import config_flags

from lpips_jax.core import cli
from lpips_jax.core.endings import Ending
from lpips_jax.core.errors import TryAgain, UserError, first_line
from lpips_jax.core.files import show_as

ROOT = str(Path(__file__).parents[2])
CONFIG = """
from ml_collections import ConfigDict

def get_config():
  return ConfigDict({'data': {'batch_size': 4}, 'name': 'a'})
"""


@pytest.fixture
def command(monkeypatch, tmp_path, capsys):
  """Runs a command with flags --number and --config in this process: (exit status, stdout, stderr)."""
  flags.FLAGS.mark_as_parsed()  # absl's logging looks at its own flags
  values = flags.FlagValues()
  flags.DEFINE_integer('number', 3, 'A number.', flag_values=values)
  flags.DEFINE_string('name', None, 'A name.', flag_values=values)
  flags.DEFINE_list('each', [], 'Several names.', flag_values=values)
  config_flags.DEFINE_config_file('config', None, 'A config.', lock_config=True, flag_values=values)
  monkeypatch.setattr(flags, 'FLAGS', values)
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'good.py').write_text(CONFIG)
  (tmp_path / 'syntax.py').write_text('def get_config(:')
  (tmp_path / 'named.py').write_text('def get_config(name):\n  raise ValueError("there are a, b")')
  (tmp_path / 'fails.py').write_text('def get_config():\n  return 1 / 0')
  handlers = list(logging.root.handlers)
  stream = absl_logging.get_absl_handler().python_handler.stream
  hooks = threading.excepthook, sys.unraisablehook
  # As by default, for tests run under nohup inherit otherwise.
  signals = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGTERM, signal.SIGHUP)}

  def run(*arguments, main=lambda: None, positional=(), fail_together=None, remote=()):
    status = 0
    try:
      monkeypatch.setattr(sys, 'argv', ['/some where/command.py', *arguments])
      cli.run(main, *positional, fail_together=fail_together, remote=remote)
    except SystemExit as exit_:
      status = exit_.code
    return status, *capsys.readouterr()

  yield run
  logging.captureWarnings(False)
  threading.excepthook, sys.unraisablehook = hooks
  for number, handler in signals.items():
    signal.signal(number, handler)
  logging.root.handlers[:] = handlers
  absl_logging.get_absl_handler().python_handler.stream = stream


def test_flags_reach_main(command):
  seen = []
  main = lambda: seen.append((flags.FLAGS.number, flags.FLAGS.config.data.batch_size))  # noqa: E731
  assert command('--number=5', '--config=good.py', '--config.data.batch_size=8', main=main) == (0, '', '')
  assert seen == [(5, 8)]


@pytest.mark.parametrize(
  ('given', 'expected'),
  [
    ('--name=~/a', '/home/me/a'),
    ('--name=~', '/home/me'),
    ('--name=ours=~/a,theirs=~/b,~/c', 'ours=/home/me/a,theirs=/home/me/b,/home/me/c'),
    ('--name=a~/b~', 'a~/b~'),
    ('--name=./~/a', './~/a'),
    ('--name=~no-such-user/a', '~no-such-user/a'),
  ],
)
def test_tildes_are_expanded_as_shells_do(command, monkeypatch, given, expected):
  seen = []
  monkeypatch.setenv('HOME', '/home/me')
  assert command(given, main=lambda: seen.append(flags.FLAGS.name)) == (0, '', '')
  assert seen == [expected]


def test_a_config_at_home(command, monkeypatch, tmp_path):
  seen = []
  monkeypatch.setenv('HOME', str(tmp_path))
  main = lambda: seen.append(flags.FLAGS.config.name)  # noqa: E731
  assert command('--config=~/good.py', '--config.name=~/b', main=main) == (0, '', '')
  assert seen == [f'{tmp_path}/b']


@pytest.mark.parametrize('flag', ['--help', '-h', '--helpfull'])
def test_help_is_no_error(command, flag):
  status, out, err = command(flag)
  assert status == 0 and 'flags:' in out and err == ''


@pytest.mark.parametrize(
  ('arguments', 'problem'),
  [
    (['--nmber=5'], "Unknown command line flag 'nmber'"),
    (['--number=five'], '--number=five'),
    (['stray'], "unexpected argument 'stray'"),
    (['--config=gone.py'], 'No such file'),
    (['--config='], 'empty'),
    (['--config=.'], 'directory'),
    (['--config=syntax.py'], 'SyntaxError'),
    (['--config=fails.py'], 'ZeroDivisionError'),
    (['--config=named.py:c'], 'flag --config=named.py:c: ValueError: there are a, b'),
    (['--config=good.py', '--config.data.batchsize=3'], 'no key'),
    (['--config=good.py', '--config.nothing=3'], 'no key'),
    (['--config=good.py', '--config.data.batch_size=many'], 'batch_size=many'),
    (['--config.data.batch_size=3'], 'Unknown command line flag'),
  ],
)
def test_bad_flags_are_one_line_and_status_2(command, arguments, problem):
  status, out, err = command(*arguments, main=lambda: pytest.fail('ran'))
  assert status == 2 and out == ''
  assert err.startswith('command.py: ') and problem in err
  assert len(err.splitlines()) == 1


@pytest.mark.parametrize('arguments', [['a', '--number=5'], ['--number=5', 'a'], ['--number=5', '--name=a']])
def test_a_bare_argument_fills_its_flag(command, arguments):
  seen = []
  main = lambda: seen.append((flags.FLAGS.name, flags.FLAGS.number))  # noqa: E731
  assert command(*arguments, main=main, positional=['name']) == (0, '', '')
  assert seen == [('a', 5)]


@pytest.mark.parametrize('arguments', [['4', 'b'], ['b', '--number=4'], ['--name=b', '4']])
def test_bare_arguments_fill_flags_in_order(command, arguments):
  seen = []
  main = lambda: seen.append((flags.FLAGS.name, flags.FLAGS.number))  # noqa: E731
  assert command(*arguments, main=main, positional=['number', 'name']) == (0, '', '')
  assert seen == [('b', 4)]


@pytest.mark.parametrize(
  ('arguments', 'positional', 'problem'),
  [
    (['3', 'stray'], ['number'], "unexpected argument 'stray'"),
    (['--number=3', 'stray'], ['number'], "unexpected argument 'stray'"),
    (['three'], ['number'], '--number=three'),
  ],
)
def test_bad_bare_arguments_are_one_line_and_status_2(command, arguments, positional, problem):
  status, out, err = command(*arguments, main=lambda: pytest.fail('ran'), positional=positional)
  assert status == 2 and out == ''
  assert err.startswith('command.py: ') and problem in err and len(err.splitlines()) == 1


URLS = [
  (['--name=gs://bucket/a'], '--name=gs://bucket/a'),
  (['--name=gs:/bucket/a'], '--name=gs:/bucket/a'),  # as pathlib would have it
  (['--name=https://example.org/a.mp4'], '--name=https://example.org/a.mp4'),
  (['gs://bucket/a'], '--name=gs://bucket/a'),
  (['--each=a,b=s3://bucket/b'], '--each=b=s3://bucket/b'),
  (['--name=a=gs://bucket/a'], '--name=a=gs://bucket/a'),
  (['--config=good.py', '--config.name=gs://bucket/a'], '--config.name=gs://bucket/a'),
  (['--config=remote.py'], '--config.name=gs://bucket/a'),
]


@pytest.mark.parametrize(('arguments', 'refused'), URLS)
@pytest.mark.parametrize('remote', [(), ('name', 'each', 'config.name')])
def test_urls_are_refused_where_they_are_not_declared(command, tmp_path, arguments, refused, remote):
  (tmp_path / 'remote.py').write_text(CONFIG.replace("'name': 'a'", "'name': 'gs://bucket/a'"))
  line = f'command.py: {refused} must be on this machine: copy it here first\n'
  status, _, err = command(*arguments, positional=('name',), remote=remote)
  assert (status, err) == ((0, '') if remote else (2, line))


@pytest.mark.parametrize('name', ['localhost:8476', '10.0.0.1:80', 'C:/films/a.mp4', 'a:b', '~/a', 'a/b://c', 'x=y'])
def test_what_is_no_url_is_a_local_path(command, name):
  assert command(f'--name={name}')[0] == 0


def test_missing_flags_are_named(command):
  status, _, err = command('--number=1', main=lambda: cli.require_flags('number', 'name'))
  assert (status, err) == (2, 'command.py: missing --name: see --help\n')


def test_bad_input_is_one_line_even_if_its_message_is_not(command):
  assert command(main=lambda: cli.fail('first\nsecond')) == (2, '', 'command.py: first second\n')


def test_ctrl_c_is_one_line_and_status_130(command, monkeypatch):
  monkeypatch.setattr(os, '_exit', sys.exit)

  def main():
    raise KeyboardInterrupt

  assert command(main=main) == (130, '', 'command.py: interrupted\n')


@pytest.mark.parametrize(('number', 'name'), [(signal.SIGTERM, 'SIGTERM'), (signal.SIGHUP, 'SIGHUP')])
def test_other_signals_end_a_command_after_tidying_up(command, monkeypatch, number, name):
  monkeypatch.setattr(os, '_exit', sys.exit)
  tidied = []

  def main():
    try:
      signal.raise_signal(number)
    finally:
      tidied.append(True)

  assert command(main=main) == (128 + number, '', f'command.py: ended by {name}\n')
  assert tidied


def test_signals_while_the_interpreter_ends_are_ignored(tmp_path):
  script = tmp_path / 'command.py'
  script.write_text(
    'import atexit, os, signal\n'
    'from lpips_jax.core import cli\n'
    'atexit.register(lambda: [os.kill(os.getpid(), number) for number in (signal.SIGTERM, signal.SIGHUP)])\n'
    "cli.run(lambda: print('done'))\n"
  )
  # A shell in between, as pytest may have been started by nohup.
  line = f"trap - HUP TERM; PYTHONPATH='{ROOT}' exec '{sys.executable}' '{script}'"
  result = subprocess.run(['bash', '-c', line], capture_output=True, text=True)
  assert (result.returncode, result.stdout, result.stderr) == (0, 'done\n', '')


@pytest.mark.parametrize(
  ('error', 'ending'),
  [
    (UserError('bad'), Ending('bad', 2)),
    (TryAgain('busy'), Ending('busy', 75)),
    (ZeroDivisionError(), Ending(None, 1)),
    (KeyboardInterrupt(), Ending('interrupted', 130, at_once=True)),
  ],
)
def test_a_failure_reaches_fail_together_before_anything_is_printed(command, capsys, error, ending):
  told = []

  def fail_together(given):
    told.append(given)
    assert capsys.readouterr().err == ''
    sys.exit(given.status)

  def main():
    raise error

  assert command(main=main, fail_together=fail_together)[0] == ending.status
  assert told == [ending]


def test_nohup_is_respected(command):
  signal.signal(signal.SIGHUP, signal.SIG_IGN)
  assert command(main=lambda: signal.raise_signal(signal.SIGHUP)) == (0, '', '')


def test_output_that_cannot_be_written_is_no_traceback(tmp_path):
  script = tmp_path / 'command.py'
  script.write_text("from lpips_jax.core import cli\ncli.run(lambda: print('x' * 100_000))\n")
  command = f'"{sys.executable}" "{script}"'
  environment = os.environ | {'PYTHONPATH': ROOT}
  for line, status, said in (
    (f'{command} | true; exit ${{PIPESTATUS[0]}}', 141, 'nobody reads the output any more'),
    (f'{command} > /dev/full', 2, 'No space left on device'),
  ):
    result = subprocess.run(['bash', '-c', line], capture_output=True, text=True, env=environment)
    assert (result.returncode, result.stderr) == (status, f'command.py: {said}\n')


def test_bugs_keep_their_traceback(command):
  with pytest.raises(ZeroDivisionError):
    command(main=lambda: 1 / 0)


def test_a_thread_that_fails_is_one_line_of_the_log(command):
  def main():
    thread = threading.Thread(target=lambda: 1 / 0, name='writer')
    thread.start()
    thread.join()

  status, out, err = command(main=main)
  assert status == 0 and not err
  assert out.count('\n') == 1 and out.endswith('writer ended: ZeroDivisionError: division by zero\n')


def test_an_error_that_cannot_be_raised_is_one_line_of_the_log(command):
  class Fragile:
    def __del__(self):
      1 / 0  # noqa: B018

  status, out, err = command(main=lambda: [Fragile()].clear())
  assert status == 0 and not err
  assert out.count('\n') == 1 and out.endswith('ZeroDivisionError: division by zero\n')


@pytest.mark.parametrize(('verbosity', 'traceback'), [(absl_logging.WARNING, False), (absl_logging.DEBUG, True)])
def test_an_error_that_a_library_logs_is_one_line(command, verbosity, traceback):
  def main():
    absl_logging.set_verbosity(verbosity)
    try:
      1 / 0  # noqa: B018
    except ZeroDivisionError:
      logging.getLogger('library').exception('it failed')

  status, out, err = command(main=main)
  assert status == 0 and not err
  assert 'it failed\n' in out and ('Traceback' in out) == traceback


def test_the_line_of_a_librarys_error_keeps_its_end():
  assert first_line(ValueError(' a reason\nand more')) == 'ValueError: a reason'
  line = first_line(OSError('writing ' + '/directory' * 50 + ': no space left'))
  assert line.startswith('OSError: writing /directory') and line.endswith(': no space left') and len(line) < 250


@pytest.mark.filterwarnings('default')
@pytest.mark.parametrize('say', [absl_logging.warning, warnings.warn])
def test_logs_leave_stderr_to_errors(command, say):
  status, out, err = command(main=lambda: say('by the way'))
  assert status == 0 and 'by the way' in out and err == ''


def test_logs_name_copies_by_their_urls(command, tmp_path):
  show_as(tmp_path / 'copy', 'gs://bucket/run')
  _, out, _ = command(main=lambda: absl_logging.warning('%s is damaged', tmp_path / 'copy' / 'a'))
  assert 'gs://bucket/run/a is damaged' in out and str(tmp_path) not in out
