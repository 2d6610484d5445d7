"""Starting from a trained network: its weights and BatchNorm statistics are taken by name."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict
from ml_collections import ConfigDict

from lpips_jax import pretrained
from lpips_jax.core.errors import UserError

NAMED = 4  # arrays that a line names at most
AUDIO_ENCODER = 'audio_encoder'  # the module that experts and generators have in common

Path_ = tuple[str, ...]
Variables = dict[str, Any]


class Taken(NamedTuple):
  """What became of the arrays of two networks; each is named by its path, such as ('params', 'head', 'kernel').

  Attributes:
    taken: in both, of one shape: the base's values are taken.
    unfit: in both, of two shapes, (base's, own): the own values stay.
    left: in the base alone.
    missing: in the own network alone.
  """

  taken: list[Path_]
  unfit: dict[Path_, tuple[tuple[int, ...], tuple[int, ...]]]
  left: list[Path_]
  missing: list[Path_]


@dataclass(frozen=True)
class Start:
  """How a run starts.

  Attributes:
    name: `config.init_from`, if it starts from there.
    base: the network loaded from there; None to start anew.
    resumed: whether it goes on from a step of its own, which replaces all that it would start with.
  """

  name: str = ''
  base: pretrained.Pretrained | None = None
  resumed: bool = False


def take_by_name(own: Mapping[str, Any], base: Mapping[str, Any]) -> tuple[Variables, Taken]:
  """Returns a network's variables with the arrays of another in place of those that have their name and shape.

  Args:
    own: `params` and `batch_stats` of the network that is to be trained.
    base: those of a trained one.

  Returns:
    New variables of the structure, shapes and types of `own`, of which nothing is shared with `base`; and what was
    taken.
  """
  flat, theirs = flatten_dict(own), flatten_dict(base)
  common = [path for path in flat if path in theirs]
  taken = [path for path in common if flat[path].shape == theirs[path].shape]
  # Copies: the state that they go into is donated to the first step.
  new = {path: jnp.array(theirs[path], flat[path].dtype, copy=True) for path in taken}
  found = Taken(
    taken,
    {path: (theirs[path].shape, flat[path].shape) for path in common if path not in new},
    [path for path in theirs if path not in flat],
    [path for path in flat if path not in theirs],
  )
  return unflatten_dict(flat | new), found


def find_start(config: ConfigDict, checkpoint: Path) -> Start:
  """Returns how a run starts, and loads `config.init_from` if it starts from there.

  Args:
    config: of the run.
    checkpoint: the run's checkpoint directory; where it holds a step, the run goes on from that.

  Raises:
    UserError: there is no such checkpoint, or its weights are of no use to this run.
  """
  if checkpoint.exists() and pretrained.has_steps(checkpoint):
    return Start(resumed=True)
  given = config.get('init_from')
  if not given:
    return Start()
  base = pretrained.load_weights(given)
  if base.config.task != config.task:
    raise UserError(f'config.init_from={given} holds a {base.config.task}, not a {config.task}')
  if base.config.get('folded'):
    raise UserError(f'config.init_from={given} has its BatchNorm folded away: give the checkpoint before folding')
  return Start(given, base)


def start_from(own: Variables, start: Start) -> tuple[Variables, Taken]:
  """`take_by_name` with the base of a start that has one; raises UserError if nothing of it fits `own`."""
  variables, found = take_by_name(own, start.base.variables)
  if not found.taken:
    raise UserError(
      f'config.init_from={start.name}: none of its {len(found.unfit) + len(found.left)} arrays fits this network: '
      'give it the same config.model'
    )
  return variables, found


def has_audio_encoder(found: Taken) -> bool:
  """Whether all weights of the speech encoder were taken, so that it need not come from the expert."""
  lacking = [*found.unfit, *found.missing]
  return not any(AUDIO_ENCODER in path for path in lacking) and any(AUDIO_ENCODER in path for path in found.taken)


def told(found: Taken, start: Start) -> str:
  """Says in a line what was taken, what was left out, and what did not fit."""
  arrays = len(found.taken) + len(found.unfit) + len(found.missing)
  parts = [f'starting from {start.name}, step {start.base.step}: {len(found.taken)} of {arrays} arrays are its']
  if found.unfit:
    sizes = {path: f' {_size(theirs)} for {_size(ours)}' for path, (theirs, ours) in found.unfit.items()}
    parts.append(f'{len(found.unfit)} of another shape begin anew: {_listed(sizes)}')
  if found.missing:
    parts.append(f'{len(found.missing)} that it lacks begin anew: {_listed(dict.fromkeys(found.missing, ""))}')
  if found.left:
    parts.append(f'{len(found.left)} of its are left out: {_listed(dict.fromkeys(found.left, ""))}')
  return '; '.join(parts)


def _size(shape: Sequence[int]) -> str:
  return ' x '.join(map(str, shape)) or 'scalar'


def _listed(remarks: Mapping[Path_, str]) -> str:
  """A few arrays by name, each with a remark; of many the modules that they are in, with their numbers."""
  if len(remarks) <= NAMED:
    return ', '.join('/'.join(path[1:]) + remark for path, remark in remarks.items())
  modules = Counter(path[1] for path in remarks)
  return ', '.join(f'{module} ({number})' for module, number in modules.items())
