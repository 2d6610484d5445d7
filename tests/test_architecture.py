"""The house rules of CONTRIBUTING.md and docs/architecture.md, as far as a program can check them."""

import ast
import re
import sys
import tomllib
from collections import defaultdict
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# From the ground up; a room imports from lower floors only.
FLOORS = (
  {'lpips_jax.core', 'lpips_jax.layers', 'configs'},
  {'lpips_jax.audio', 'lpips_jax.losses', 'lpips_jax.storage'},
  {'lpips_jax.models', 'lpips_jax.media', 'lpips_jax.planning'},
  {'lpips_jax.pretrained', 'lpips_jax.faces', 'lpips_jax.perceptual', 'lpips_jax.metrics', 'lpips_jax.provenance'},
  {'lpips_jax.dubbing', 'lpips_jax.interop', 'lpips_jax.hub', 'lpips_jax'},
  {'lpips_jax.evaluation'},
  {'lpips_jax.training', 'data_pipeline'},
  {'lpips_jax.personalising', 'lpips_jax.speaking', 'lpips_jax.sweep'},
  {'lpips_jax.web'},
  {'train', 'infer', 'evaluate', 'personalise', 'app', 'demo', 'benchmarks', 'integrations'},
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
MOST_ROOMS = 25
LONGEST_FILE, LONGEST_FUNCTION, LONGEST_LINE = 400, 60, 120
README_WORDS = 1000
FLOWS = {
  'test_architecture.py',
  'test_annotations.py',
  'test_real_media.py',
  'test_shipping.py',
  'training/test_silent.py',
  'training/test_two_processes.py',
}  # tests of more than one module


def sources() -> dict[str, Path]:
  """Every module of the project but its tests, by its dotted name."""
  found = [*ROOT.glob('*.py'), *(path for room in ROOMS for path in (ROOT / room).rglob('*.py'))]
  return {
    str(path.relative_to(ROOT).with_suffix('')).replace('/', '.').removesuffix('.__init__'): path for path in found
  }


ROOMS = 'lpips_jax', 'data_pipeline', 'configs', 'benchmarks', 'integrations'
SOURCES = sources()


def room_of(module: str) -> str:
  first, *rest = module.split('.')
  return f'{first}.{rest[0]}' if first == 'lpips_jax' and rest else first


def imports(path: Path) -> list[str]:
  """The project's modules that a file imports, deferred imports among them."""
  found = []
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.ImportFrom) and node.module and node.module.split('.')[0] in ROOMS:
      whole = [f'{node.module}.{name.name}' for name in node.names]
      found += [module if module in SOURCES else node.module for module in whole]
  return found


def test_rooms_are_few_and_have_a_floor():
  rooms = {room_of(module) for module in SOURCES}
  assert rooms == set(FLOOR)
  assert len([room for room in rooms if (ROOT / room.replace('.', '/')).is_dir()]) <= MOST_ROOMS


def test_imports_run_downwards():
  upwards = [
    f'{module} imports {imported}'
    for module, path in SOURCES.items()
    for imported in imports(path)
    if room_of(module) != room_of(imported) and FLOOR[room_of(module)] <= FLOOR[room_of(imported)]
  ]
  assert not upwards


def test_modules_do_not_import_in_circles():
  arrows = defaultdict(set)
  for module, path in SOURCES.items():
    arrows[module] = {imported for imported in imports(path) if not module.startswith(f'{imported}.')} - {module}
  done: set[str] = set()

  def visit(module: str, above: tuple[str, ...]) -> None:
    assert module not in above, ' -> '.join([*above[above.index(module) :], module])
    if module not in done:
      for imported in arrows[module]:
        visit(imported, (*above, module))
      done.add(module)

  for module in SOURCES:
    visit(module, ())


def test_only_commands_import_the_command_line():
  for module, path in SOURCES.items():
    if 'lpips_jax.core.cli' in imports(path) and room_of(module) != 'benchmarks':
      assert re.search(r'^def main\(', path.read_text(), re.MULTILINE), module


def test_the_package_root_is_nearly_empty():
  assert len(list((ROOT / 'lpips_jax').glob('*.py'))) <= 4


@pytest.mark.parametrize('module', SOURCES)
def test_files_and_functions_are_short(module):
  text = SOURCES[module].read_text()
  assert len(text.splitlines()) <= LONGEST_FILE
  for node in ast.walk(ast.parse(text)):
    if isinstance(node, ast.FunctionDef):
      assert node.end_lineno - node.lineno + 1 <= LONGEST_FUNCTION, node.name


@pytest.mark.parametrize('module', SOURCES)
def test_docstrings_say_the_thing_first(module):
  tree = ast.parse(SOURCES[module].read_text())
  for node in ast.walk(tree):
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
      first = (ast.get_docstring(node) or '').partition(' ')[0]
      assert first not in ('What', 'Who', 'Which', 'Whether', 'How', 'Where', 'When', 'Of', 'Attributes:'), getattr(
        node, 'name', module
      )


def test_tests_mirror_the_packages():
  """`tests/models/test_cbam.py` tests `lpips_jax/models/cbam.py`; a directory of tests may stand for a module, too."""
  strays = []
  for path in (ROOT / 'tests').rglob('test_*.py'):
    place = path.relative_to(ROOT / 'tests')
    tested = place.with_name(place.name.removeprefix('test_'))
    homes = [ROOT / name for name in (tested, 'lpips_jax' / tested, tested.parent, 'lpips_jax' / tested.parent)]
    module, ours, *directories = homes
    there = [module, ours, module.with_suffix(''), ours.with_suffix('')]
    there += [directory.with_suffix('.py') for directory in directories]
    if not any(home.exists() for home in there) and str(place) not in FLOWS:
      strays.append(str(place))
  assert not strays


def test_the_readme_is_short():
  text = (ROOT / 'README.md').read_text()
  assert len(text.split()) <= README_WORDS
  assert max(map(len, text.splitlines())) <= LONGEST_LINE


def test_documents_name_what_is_there():
  """Paths and modules in the documents exist."""
  for document in [*ROOT.glob('*.md'), *(ROOT / 'docs').glob('*.md')]:
    text = document.read_text()
    for path in re.findall(r'\b(?:lpips_jax|data_pipeline|configs|benchmarks|tests)/[\w/]+\.py', text):
      assert (ROOT / path).is_file(), f'{document.name}: {path}'
    for module in re.findall(r'-m ((?:lpips_jax|data_pipeline|benchmarks)\.[\w.]*\w)(?!\w|\.…)', text):
      assert module in SOURCES, f'{document.name}: {module}'
    for link in re.findall(r'\]\((?!http)([^)#]+)', text):
      assert (document.parent / link).exists(), f'{document.name}: {link}'


def normalised(name: str) -> str:
  return re.sub(r'[-_.]+', '-', re.match(r'[\w.-]+', name)[0]).lower()


def test_dependencies_are_what_the_packages_import():
  """A dependency that no module imports says in a comment what needs it."""
  text = (ROOT / 'pyproject.toml').read_text()
  project = tomllib.loads(text)['project']
  needed = {normalised(line) for line in project['dependencies']}
  optional = {normalised(line) for lines in project['optional-dependencies'].values() for line in lines}
  packages = metadata.packages_distributions()
  shipped = [path for module, path in SOURCES.items() if module.split('.')[0] in ('lpips_jax', 'data_pipeline')]
  nodes = [node for path in shipped for node in ast.walk(ast.parse(path.read_text()))]
  modules = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
  modules |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
  imported = set()
  for module in {module.split('.')[0] for module in modules} - sys.stdlib_module_names - set(ROOMS):
    found = {normalised(name) for name in packages.get(module, [])}  # several share `google`
    assert not found or found & (needed | optional), module
    imported |= found
  unused = {line.strip() for line in text.splitlines() if line.startswith('  "') and '  #' not in line}
  assert not {name for name in needed - imported if any(line.startswith(f'"{name}') for line in unused)}
