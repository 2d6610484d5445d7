"""Checkpoints on the Hugging Face Hub, each with its card.

  python -m lpips_jax.hub push NAME/REPO --checkpoint=runs/demo/checkpoint
  python -m lpips_jax.hub pull NAME/REPO --output=runs/theirs

`push` uploads config, weights and card of one step: of a generator the newest, of a sync expert the best, or whichever
--checkpoint names, as in DIR/12000. `pull` downloads files of weights and nothing that could be executed; its output
appears once it is complete and loads. Both directories may be URLs, gs://… or s3://…. HF_TOKEN or a login says who you
are, HF_ENDPOINT names another hub.
"""

import contextlib
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags
from ml_collections import ConfigDict

from lpips_jax.core import cli
from lpips_jax.core.constants import FROZEN
from lpips_jax.core.errors import UserError, first_line
from lpips_jax.core.files import PathLike, shown, whole_directory
from lpips_jax.storage.places import is_remote, require_local
from lpips_jax.storage.transfer import local_output_directory

if TYPE_CHECKING:  # names are checked before the seconds that JAX takes to import
  from huggingface_hub import HfApi

COMMANDS = 'push', 'pull'
CARD_ON_HUB = 'README.md'  # the card, below what the hub reads of it
TAGS = 'lip-sync', 'talking-head', 'jax', 'flax'
LIBRARY = 'lpips-jax'
TIMEOUT = 20.0  # seconds until the hub's first answer
PICKLES = '.pkl', '.pickle', '.pt', '.pth', '.bin', '.ckpt', '.joblib', '.dill'
FRONT_MATTER = re.compile(r'\A---\n.*?\n---\n\n?', re.DOTALL)
LICENCE = re.compile(r'^license: *(.+)$', re.MULTILINE)


def define_flags() -> None:
  flags.DEFINE_enum('command', None, COMMANDS, 'push or pull; may be given without its name.')
  flags.DEFINE_string('repo', None, 'The repository, NAME/REPO; may be given without its name, after the command.')
  flags.DEFINE_string('checkpoint', None, 'push: the checkpoint directory, or one of its steps.')
  flags.DEFINE_string('output', None, 'pull: the checkpoint directory to create.')
  flags.DEFINE_string('revision', None, 'A branch, which push creates if need be; for pull also a tag or a commit.')
  flags.DEFINE_boolean('private', False, 'push: make a new repository private.')
  flags.DEFINE_boolean('all_steps', False, 'push: every saved step, not only one.')
  flags.DEFINE_boolean('may_publish', False, 'push: you have the right to publish weights of data with terms.')


def main() -> None:
  given = flags.FLAGS
  cli.require_flags('command', 'repo')
  if given.command == 'push':
    cli.require_flags('checkpoint')
    print(push(given.repo, given.checkpoint, given.revision, given.private, given.all_steps, given.may_publish))
  else:
    cli.require_flags('output')
    print(pull(given.repo, given.output, given.revision))


def push(
  repo: str,
  checkpoint: PathLike,
  revision: str | None = None,
  private: bool = False,
  all_steps: bool = False,
  may_publish: bool = False,
) -> str:
  """Uploads a checkpoint in one commit, after a list of what it holds.

  What an earlier push left in the repository and this one lacks is deleted in the same commit: of two steps there,
  `load` would take the newer. The repository is created if there is none.

  Args:
    repo: `NAME/REPO`.
    checkpoint: the directory, one of its steps, or the run that holds it; or the URL of one, unless `all_steps`.
    revision: a branch, created if there is none; by default `main`.
    private: whether a new repository is private.
    all_steps: whether every saved step is uploaded, not only the one that `load` takes.
    may_publish: whether the caller has the right to publish weights whose data have terms.

  Returns:
    The address of the commit.

  Raises:
    UserError: there is no checkpoint, it is not free to be published, nobody is logged in, or the hub refuses.
  """
  _check_repo(repo)
  files = files_to_push(checkpoint, all_steps, may_publish)
  import huggingface_hub

  if huggingface_hub.get_token() is None:
    raise UserError('push needs to know who you are: log in with `hf auth login`, or set HF_TOKEN')
  api = _api()
  with _hub_errors(repo, revision):
    there = _files_on_hub(api, repo, revision)
    print(f'{repo} ({"private" if private else "public"}, if new), revision {revision or "main"}:\n{_listing(files)}')
    api.create_repo(repo, private=private, exist_ok=True)
    if revision is not None:
      api.create_branch(repo, branch=revision, exist_ok=True)
    changes: list[Any] = [
      huggingface_hub.CommitOperationDelete(name) for name in there if is_checkpoint_file(name) and name not in files
    ]
    changes += [
      huggingface_hub.CommitOperationAdd(name, content if isinstance(content, bytes) else str(content))
      for name, content in files.items()
    ]
    commit = api.create_commit(repo, changes, commit_message='Checkpoint and its card', revision=revision)
  return str(commit.commit_url)


def pull(repo: str, output: PathLike, revision: str | None = None) -> str:
  """Downloads a checkpoint; its directory appears once it is complete and `lpips_jax.load` takes it.

  Files go through the hub's cache, so that a download that was cut continues where it ended. Files that belong to no
  checkpoint are left on the hub. Nothing is executed or unpickled.

  Args:
    repo: `NAME/REPO`.
    output: the directory to create, or its URL in a bucket.
    revision: a branch, a tag or a commit; by default `main`.

  Returns:
    The essentials of the card, and where the checkpoint is.

  Raises:
    UserError: there is something at `output`, the repository holds no checkpoint or files that are no weights, it
      cannot be read, or it cannot be loaded; then nothing is left but the hub's cache.
  """
  _check_repo(repo)
  if not is_remote(output) and Path(output).exists():
    raise UserError(f'{output} is there already: give another output', 'output')
  api = _api()
  with local_output_directory(output) as made:
    with _hub_errors(repo, revision):
      info = api.model_info(repo, revision=revision, files_metadata=True, timeout=TIMEOUT)
      names = files_to_pull(repo, {file.rfilename: file.size or 0 for file in info.siblings or ()})
      cached = api.snapshot_download(repo, revision=info.sha, allow_patterns=[*names])
    return shown(_put_in_place(repo, Path(cached), [*names], made))


def files_to_push(checkpoint: PathLike, all_steps: bool, may_publish: bool) -> dict[str, Path | bytes]:
  """Returns what of a checkpoint is published: the content, or the file that holds it, by its name in the repository.

  The state of the optimizer and the position in the data stay: only training needs them.

  Raises:
    UserError: there is no checkpoint, it cannot be loaded, or it is not free to be published.
  """
  from lpips_jax.pretrained import checkpoint_dir, load_weights, model_card

  if all_steps:
    require_local(checkpoint=checkpoint)  # of a URL, one step's weights are copied to this machine
  network = load_weights(str(checkpoint))
  directory, _ = checkpoint_dir.find_step(str(checkpoint))
  found = _files_of(directory, None if all_steps else network.step)
  terms = _terms(path.parent for path in found.values() if path.name == checkpoint_dir.CONFIG_FILE)
  if terms and not may_publish:
    raise UserError(f'{terms} If you have the right to publish these weights, add may_publish=True', 'may_publish')
  card = _card(directory, network)
  found.pop(model_card.FILE, None)
  return {CARD_ON_HUB: (_front_matter(network.config, bool(terms)) + card).encode(), **found}


def files_to_pull(repo: str, sizes: Mapping[str, int]) -> dict[str, int]:
  """Returns those files of a repository that a checkpoint consists of; takes and returns bytes by names.

  Raises:
    UserError: the repository holds no checkpoint, pickles, or names that lead out of its directory.
  """
  for name in sizes:
    if name.startswith('/') or '\\' in name or not name.isprintable() or {'', '.', '..'} & {*name.split('/')}:
      raise UserError(f'{repo} holds a file whose name is no path inside it, {name!r}: nothing was downloaded')
    if name.lower().endswith(PICKLES):
      raise UserError(f'{repo} holds {name}, a pickle, which may execute code: nothing was downloaded')
  names = {name: size for name, size in sizes.items() if name == CARD_ON_HUB or is_checkpoint_file(name)}
  if not any(name[:1].isdigit() for name in names) or 'config.json' not in names:
    raise UserError(f'{repo} holds no checkpoint of this project: no config.json with a step beside it')
  print(f'{repo}:\n{_listing(names)}')
  return names


def is_checkpoint_file(name: str) -> bool:
  """Returns whether a file with this name in a repository is part of a checkpoint, its card aside."""
  from lpips_jax.pretrained.checkpoint_dir import CONFIG_FILE
  from lpips_jax.pretrained.model_card import FILE

  rest = re.sub(rf'\A(?:(?:{"|".join(FROZEN)})/)+', '', name)
  return rest in (CONFIG_FILE, FILE) or re.fullmatch(r'\d+(?:/[\w.-]+)+', rest, re.ASCII) is not None


def _files_of(directory: Path, step: int | None) -> dict[str, Path]:
  """Returns the files of a checkpoint directory and of the frozen networks in it, by their names in there.

  Args:
    directory: the checkpoint directory.
    step: one of its steps; every saved one if None.
  """
  from lpips_jax.pretrained import checkpoint_dir, model_card

  steps = [saved.step for saved in checkpoint_dir.saved_steps(directory)] if step is None else [step]
  files = [path for name in (checkpoint_dir.CONFIG_FILE, model_card.FILE) if (path := directory / name).is_file()]
  for number in steps:
    top = directory / str(number)
    kept = top / checkpoint_dir.VARIABLES, top / checkpoint_dir.METRICS
    files += [path for path in top.iterdir() if path.is_file()]
    files += [path for part in kept for path in part.rglob('*') if path.is_file()]
  found = {path.relative_to(directory).as_posix(): path for path in sorted(files)}
  for name in FROZEN:
    if (directory / name).is_dir():
      found |= {f'{name}/{inner}': path for inner, path in _files_of(directory / name, None).items()}
  return found


def _terms(directories: Iterable[Path]) -> str:
  """Returns the terms that bind the weights in checkpoint directories; '' if they are free."""
  from lpips_jax.pretrained import checkpoint_dir, model_card

  found = [model_card.binding_terms(checkpoint_dir.read_config(directory)) for directory in directories]
  return ' '.join(dict.fromkeys(filter(None, found)))


def _card(directory: Path, network: Any) -> str:
  """Returns the card of a step: the one that is kept, or a new one if that one is of another step."""
  from lpips_jax.pretrained import checkpoint_dir, model_card

  kept = directory / model_card.FILE
  if kept.is_file() and f' after {network.step:,} updates.' in (text := kept.read_text()):
    return text
  metrics = next(one.metrics for one in checkpoint_dir.saved_steps(directory) if one.step == network.step)
  frozen = model_card.frozen_terms(directory)
  return model_card.card(network.config, network.variables, network.step, metrics or None, frozen=frozen)


def _front_matter(config: ConfigDict, bound: bool) -> str:
  """Returns what the hub reads of a card, in YAML; `bound` says whether terms of the data bind the weights."""
  import huggingface_hub

  data = huggingface_hub.ModelCardData(
    license='other' if bound else 'apache-2.0',
    license_name='terms-of-the-training-data' if bound else None,
    library_name=LIBRARY,
    pipeline_tag='video-to-video' if config.task == 'generator' else None,
    tags=[*TAGS, config.task],
  )
  return f'---\n{data.to_yaml().strip()}\n---\n\n'


def _put_in_place(repo: str, cached: Path, names: list[str], output: Path) -> str:
  """Copies files of the hub's cache to `output`, once they load; returns `pull`'s lines."""
  from lpips_jax.pretrained import load_weights, model_card

  with whole_directory(output) as directory:
    for name in names:
      (directory / name).parent.mkdir(parents=True, exist_ok=True)
      shutil.copyfile(cached / name, directory / name)
    on_hub = directory / CARD_ON_HUB
    text = on_hub.read_text(errors='replace') if on_hub.is_file() else ''
    if text:
      (directory / model_card.FILE).write_text(FRONT_MATTER.sub('', text, count=1))
      on_hub.unlink()
    try:
      network = load_weights(directory)
    except UserError as error:
      raise UserError(f'{repo} cannot be used: {str(error).replace(str(directory.absolute()), repo)}') from error
  return f'{_essentials(text)}\n{output}: {network.config.task}, step {network.step}'


def _essentials(card: str) -> str:
  """Returns head, data and licence of a card, without characters that would control a terminal."""
  licence = LICENCE.search(card)
  head, _, rest = FRONT_MATTER.sub('', card, count=1).partition('\n## Data\n')
  lines = [*head.splitlines()[:3], rest.partition('\n## ')[0]]
  lines.append(f'licence: {licence[1]}' if licence else 'no licence is named')
  return '\n'.join(''.join(c for c in line if c.isprintable()) for text in lines for line in text.splitlines() if line)


def _listing(files: Mapping[str, Path | bytes | int]) -> str:
  """Returns a table of files and of directories, with their sizes."""
  sizes: dict[str, list[int]] = {}
  for name, file in files.items():
    size = file if isinstance(file, int) else len(file) if isinstance(file, bytes) else file.stat().st_size
    top, slash, _ = name.partition('/')
    sizes.setdefault(top + slash, []).append(size)
  sizes[f'{len(files)} files'] = [sum(all_) for all_ in sizes.values()]
  return '\n'.join(f'  {name:20} {sum(parts) / 1e6:10.3f} MB' for name, parts in sizes.items())


def _api() -> 'HfApi':
  from huggingface_hub import HfApi, constants, utils

  if not sys.stderr.isatty():  # where only errors belong
    utils.disable_progress_bars()
    utils.logging.set_verbosity_error()
  return HfApi(constants.ENDPOINT, library_name=LIBRARY)


def _check_repo(repo: str) -> None:
  if not re.fullmatch(r'[\w.-]+/[\w.-]+', repo, re.ASCII):
    raise UserError(f'repo must be NAME/REPO, as in the address of its page, not {repo!r}', 'repo')


def _files_on_hub(api: 'HfApi', repo: str, revision: str | None) -> list[str]:
  """Returns the names of the files of a revision; none if there is no such repository or revision."""
  from huggingface_hub.utils import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

  try:
    info = api.model_info(repo, revision=revision, timeout=TIMEOUT)
  except GatedRepoError:
    raise
  except (RepositoryNotFoundError, RevisionNotFoundError):
    return []
  return [file.rfilename for file in info.siblings or ()]


@contextlib.contextmanager
def _hub_errors(repo: str, revision: str | None) -> Iterator[None]:
  """Turns the errors of the hub's client, of its transport and of the system into one line each."""
  from huggingface_hub import constants, utils

  try:
    yield
  except UserError:
    raise
  except utils.GatedRepoError as error:
    page = f'{constants.ENDPOINT}/{repo}'
    raise UserError(f'{repo} is for those who accept its terms: do so at {page}, and log in (HF_TOKEN)') from error
  except utils.RepositoryNotFoundError as error:
    raise UserError(f'{repo} is not on the hub, or not for you: check its name, and log in (HF_TOKEN)') from error
  except utils.RevisionNotFoundError as error:
    raise UserError(f'{repo} has no revision {revision}: see its page for those it has', 'revision') from error
  except utils.HFValidationError as error:
    raise UserError(f'the hub takes no such name ({first_line(error)})', 'repo') from error
  except utils.HfHubHTTPError as error:
    status = error.response.status_code if error.response is not None else 0
    said = {401: 'you are not logged in: set HF_TOKEN', 403: 'your token may not do this: give one that may write'}
    raise UserError(f'the hub refused {repo}: {said.get(status, first_line(error))}') from error
  except Exception as error:
    raise UserError(
      f'{constants.ENDPOINT} cannot be reached, or broke off ({first_line(error)}): check the network, then give the '
      'same command again'
    ) from error


if __name__ == '__main__':
  define_flags()
  cli.run(main, 'command', 'repo', remote=('checkpoint', 'output'))
