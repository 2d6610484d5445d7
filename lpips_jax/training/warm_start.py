"""Starting from a trained network: its weights and BatchNorm statistics are taken by name."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict

from lpips_jax import pretrained
from lpips_jax.core.errors import UserError
from lpips_jax.training.state import Variables

MAX_LISTED = 4  # arrays that a line lists one by one
AUDIO_ENCODER = 'audio_encoder'  # the module that experts and generators have in common

ArrayPath = tuple[str, ...]  # such as ('params', 'head', 'kernel')


class Matched(NamedTuple):
  """The arrays of two networks, the base and the one to be trained, by what became of them.

  Attributes:
    taken: in both, of one shape: the base's values are taken.
    unfit: in both, of two shapes, (base's, own): the own values stay.
    left_out: in the base alone.
    missing: in the own network alone.
  """

  taken: list[ArrayPath]
  unfit: dict[ArrayPath, tuple[tuple[int, ...], tuple[int, ...]]]
  left_out: list[ArrayPath]
  missing: list[ArrayPath]


@dataclass(frozen=True)
class Start:
  """The start of a run: new, from a trained network, or from a step of its own.

  Attributes:
    name: `config.init_from`, if it starts from there.
    base: the network loaded from there; None to start from random numbers.
    resumed: whether the run continues from a step of its own, which replaces all that it would start with.
  """

  name: str = ''
  base: pretrained.Pretrained | None = None
  resumed: bool = False


def take_by_name(own: Variables, base: Variables) -> tuple[Variables, Matched]:
  """Returns a network's variables with the arrays of another in place of those that have their name and shape.

  Args:
    own: `params` and `batch_stats` of the network that is to be trained.
    base: those of a trained one.

  Returns:
    New variables of the structure, shapes and types of `own`, which share nothing with `base`; and what was taken.
  """
  flat, theirs = flatten_dict(own), flatten_dict(base)
  common = [path for path in flat if path in theirs]
  taken = [path for path in common if flat[path].shape == theirs[path].shape]
  # Copies: the state that they go into is donated to the first step.
  new = {path: jnp.array(theirs[path], flat[path].dtype, copy=True) for path in taken}
  matched = Matched(
    taken,
    {path: (theirs[path].shape, flat[path].shape) for path in common if path not in new},
    [path for path in theirs if path not in flat],
    [path for path in flat if path not in theirs],
  )
  return unflatten_dict(flat | new), matched


def find_start(init_from: str | None, task: str, checkpoint: Path) -> Start:
  """Returns how a run starts, and loads `init_from` if it starts from there.

  Args:
    init_from: `config.init_from`, if the config has it.
    task: `config.task`.
    checkpoint: the run's checkpoint directory; where it holds a step, the run continues from that.

  Raises:
    UserError: there is no such checkpoint, or its weights are of no use to this run.
  """
  if checkpoint.exists() and pretrained.has_steps(checkpoint):
    return Start(resumed=True)
  if not init_from:
    return Start()
  base = pretrained.load_weights(init_from)
  if base.config.task != task:
    raise UserError(f'config.init_from={init_from} holds a {base.config.task}, not a {task}')
  if base.config.get('folded'):
    raise UserError(f'config.init_from={init_from} has its BatchNorm folded away: give the checkpoint before folding')
  return Start(init_from, base)


def start_from(own: Variables, start: Start) -> tuple[Variables, Matched]:
  """`take_by_name` with the base of a start that has one; raises UserError if nothing of it fits `own`."""
  if start.base is None:
    raise ValueError('this run does not start from a trained network')
  variables, matched = take_by_name(own, start.base.variables)
  if not matched.taken:
    raise UserError(
      f'config.init_from={start.name}: none of its {len(matched.unfit) + len(matched.left_out)} arrays fits this '
      'network: give it the same config.model'
    )
  return variables, matched


def has_audio_encoder(matched: Matched) -> bool:
  """Returns True if all weights of the speech encoder were taken, so that it need not come from the expert."""
  lacking = [*matched.unfit, *matched.missing]
  return not any(AUDIO_ENCODER in path for path in lacking) and any(AUDIO_ENCODER in path for path in matched.taken)


def summary(matched: Matched, start: Start) -> str:
  """Returns one line: what was taken, what was left out, and what did not fit."""
  arrays = len(matched.taken) + len(matched.unfit) + len(matched.missing)
  step = start.base.step if start.base else 0
  parts = [f'starting from {start.name}, step {step}: {len(matched.taken)} of {arrays} arrays come from it']
  if matched.unfit:
    sizes = {path: f' {_size(theirs)} for {_size(ours)}' for path, (theirs, ours) in matched.unfit.items()}
    parts.append(f'{len(matched.unfit)} of another shape start from random numbers: {_listed(sizes)}')
  if matched.missing:
    missing = _listed(dict.fromkeys(matched.missing, ''))
    parts.append(f'{len(matched.missing)} that it lacks start from random numbers: {missing}')
  if matched.left_out:
    parts.append(f'{len(matched.left_out)} of its own are left out: {_listed(dict.fromkeys(matched.left_out, ""))}')
  return '; '.join(parts)


def _size(shape: Sequence[int]) -> str:
  return ' x '.join(map(str, shape)) or 'scalar'


def _listed(remarks: Mapping[ArrayPath, str]) -> str:
  """A few arrays by name, each with a remark; where there are many, their modules with the number of arrays in each."""
  if len(remarks) <= MAX_LISTED:
    return ', '.join('/'.join(path[1:]) + remark for path, remark in remarks.items())
  modules = Counter(path[1] for path in remarks)
  return ', '.join(f'{module} ({number})' for module, number in modules.items())
