"""The ways to get the project to others and to other machines: every file, command and flag that they name is there."""

import ast
import json
import re
import runpy
import shlex
from functools import reduce
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOK = json.loads((ROOT / 'notebooks' / 'dub.ipynb').read_text())
CODE = [''.join(cell['source']) for cell in NOTEBOOK['cells'] if cell['cell_type'] == 'code']
DOCKERFILES = 'Dockerfile', 'Dockerfile.train'


def dockerfile(name: str = 'Dockerfile') -> list[tuple[str, str]]:
  """Returns the instructions of a Dockerfile: keyword and rest."""
  text = (ROOT / name).read_text()
  lines = re.sub(r'\\\n\s*', '', re.sub(r'^#.*\n', '', text, flags=re.MULTILINE)).splitlines()
  return [tuple(line.split(maxsplit=1)) for line in lines if line]


def copied_by(name: str) -> set[str]:
  return {source for keyword, rest in dockerfile(name) if keyword == 'COPY' for source in rest.split()[:-1]}


def flags_of(command: str) -> set[str]:
  """Returns the flags that a file of Python defines."""
  calls = [node for node in ast.walk(ast.parse((ROOT / command).read_text())) if isinstance(node, ast.Call)]
  return {
    call.args[0].value
    for call in calls
    if isinstance(call.func, ast.Attribute) and call.func.attr.startswith('DEFINE_')
  }


def check_command(words: list[str]) -> None:
  """Checks that a command of the project, without `python`, is there, and has the flags that it is given."""
  if words[0] == '-m':
    path = words[1].replace('.', '/') + '.py'
  else:
    path = words[0]
  assert (ROOT / path).is_file(), path
  given = {word[2:].partition('=')[0] for word in words if word.startswith('--')}
  assert given <= flags_of(path), (path, given - flags_of(path))


def test_what_the_dockerfiles_copy_is_there_and_not_ignored():
  ignored = (ROOT / '.dockerignore').read_text().split('\n')
  kept = [line[1:] for line in ignored if line.startswith('!')]
  assert '*' in ignored
  copied = set().union(*map(copied_by, DOCKERFILES))
  assert sorted(copied) == sorted(kept)
  assert all((ROOT / source).exists() for source in copied)


@pytest.mark.parametrize('name', DOCKERFILES)
def test_an_image_holds_all_that_its_command_imports(name):
  """The packages that are copied import none of the project's that is not."""
  copied = copied_by(name)
  ours = {path.stem for path in ROOT.glob('*.py')} | {path.parent.name for path in ROOT.glob('*/*.py')}
  files = [path for name in copied for path in ([ROOT / name] if name.endswith('.py') else (ROOT / name).rglob('*.py'))]
  imported = {
    node.module.split('.')[0]
    for path in files
    for node in ast.walk(ast.parse(path.read_text()))
    if isinstance(node, ast.ImportFrom) and node.module
  }
  assert imported & ours <= {source.removesuffix('.py') for source in copied}


def test_the_image_starts_the_page():
  instructions = dockerfile()
  (command,) = (json.loads(rest) for keyword, rest in instructions if keyword == 'CMD')
  assert command[:2] == ['sh', '-c']
  _, python, *words = shlex.split(command[2])
  assert python == 'python'
  check_command(words)
  assert '--host=0.0.0.0' in words
  (port,) = (rest for keyword, rest in instructions if keyword == 'EXPOSE')
  assert f'--port={port}' in words
  (health,) = (rest for keyword, rest in instructions if keyword == 'HEALTHCHECK')
  assert f'127.0.0.1:{port}' in health


@pytest.mark.parametrize('name', DOCKERFILES)
def test_an_image_runs_as_nobody_special(name):
  instructions = dockerfile(name)
  (user,) = (rest for keyword, rest in instructions if keyword == 'USER')
  if user == '$USER':
    (user,) = (rest.removeprefix('USER=') for keyword, rest in instructions if keyword == 'ARG' and 'USER=' in rest)
  assert not user.startswith(('root', '0'))
  assert [keyword for keyword, _ in instructions].index('USER') > max(
    number for number, (keyword, _) in enumerate(instructions) if keyword in ('RUN', 'COPY')
  )


def test_the_image_for_training_runs_any_command_of_the_project():
  instructions = dict(dockerfile('Dockerfile.train'))
  assert json.loads(instructions['ENTRYPOINT']) == ['python']
  command, _ = json.loads(instructions['CMD'])
  assert command in copied_by('Dockerfile.train')


def test_extras_of_the_image_are_declared():
  project = (ROOT / 'pyproject.toml').read_text()
  (install,) = (rest for keyword, rest in dockerfile() if keyword == 'RUN' and 'pip install' in rest)
  named = re.search(r'"\.\[(\w+)\$\{EXTRA:\+,\$EXTRA\}\]"', install)
  assert named
  for extra in named[1], 'cuda':
    assert re.search(rf'^{extra} = \[', project, re.MULTILINE)


def test_the_notebook_holds_no_outputs():
  assert NOTEBOOK['nbformat'] == 4
  assert len({cell['id'] for cell in NOTEBOOK['cells']}) == len(NOTEBOOK['cells'])
  for cell in NOTEBOOK['cells']:
    assert cell['cell_type'] in ('code', 'markdown')
    if cell['cell_type'] == 'code':
      assert cell['outputs'] == []
      assert cell['execution_count'] is None


def test_commands_of_the_notebook_are_there():
  """A command is a list of arguments that begins with sys.executable."""
  found = []
  for node in ast.walk(ast.parse('\n'.join(CODE))):
    arguments = node.args if isinstance(node, ast.Call) else node.elts if isinstance(node, ast.List) else []
    if len(arguments) > 1 and ast.unparse(arguments[0]) == 'sys.executable':
      found.append([_text(argument) for argument in arguments[1:]])
  ours = [words for words in found if words[:2] not in (['-m', 'pip'],) and words[0] != '-c']
  assert len(ours) == 5
  for words in ours:
    check_command(words)


def test_commands_for_clouds_are_there():
  text = (ROOT / 'docs' / 'cloud.md').read_text()
  lines = '\n'.join(re.findall(r'```sh\n(.*?)```', text, re.DOTALL)).replace('\\\n', '').splitlines()
  found = [words for line in lines for words in _commands_in(shlex.split(line, comments=True))]
  assert len(found) == 9
  for words in found:
    keys = [word[2:].partition('=')[0] for word in words if word.startswith('--config.')]
    for path in [word.partition('=')[2] for word in words if word.startswith('--config=')]:
      config = runpy.run_path(str(ROOT / path))['get_config']()
      for key in keys:
        reduce(getattr, key.split('.')[1:], config)
    if words[1] != 'data_pipeline.build':  # whose flags are those of TFDS
      check_command([word for word in words if not word.startswith('--config.')])


def _commands_in(words: list[str]) -> list[list[str]]:
  """Returns the command of the project in a line, without `python`, if there is one; scripts of tools/ run others."""
  words = [part for word in words for part in (shlex.split(word.partition('=')[2]) if 'exec ' in word else [word])]
  for start, word in enumerate(words):
    if word == 'tools/tpu_pod.sh' and words[start + 2 :] and words[start + 1] == 'keep':
      return [['train.py', *words[start + 2 :]]]
    if word == 'tools/dataflow.sh':
      return [['-m', 'data_pipeline.preprocess', *words[start + 1 :]]]
    if word == 'train.py' or (word == '-m' and words[start + 1].startswith(('lpips_jax', 'data_pipeline'))):
      return [words[start:]]
  return []


def test_the_notebook_opens_no_tunnel_and_uses_colab_only_there():
  text = '\n'.join(CODE)
  assert not re.search(r'share=|ngrok|cloudflared|localtunnel', text)
  (line,) = (line for line in text.splitlines() if 'from google' in line)
  assert line.startswith('    ')  # within `if IN_COLAB`
  assert re.search(r'if IN_COLAB:\n    from google\.colab import output\n', text)


def _text(argument: ast.expr) -> str:
  """Returns a string, with the values that are put into it left out."""
  if isinstance(argument, ast.Constant):
    return argument.value
  parts = argument.values if isinstance(argument, ast.JoinedStr) else []
  return ''.join(part.value for part in parts if isinstance(part, ast.Constant))
