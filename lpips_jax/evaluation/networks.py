"""The networks of an evaluation: the generators that are scored, and the sync expert that scores them."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from lpips_jax import pretrained
from lpips_jax.core.errors import UserError
from lpips_jax.pretrained import Exported, Pretrained

DEFAULT_IMAGE_SIZE = 96  # pixels of the crops of ready videos, where no checkpoint says otherwise


class Networks(NamedTuple):
  """The networks of an evaluation.

  Attributes:
    generators: those that are scored, by name.
    expert: the sync expert that scores lips, or the error that says why there is none.
    image_size: side of the crops that are scored, in pixels: the largest that a checkpoint was trained on.
    step: the number of updates of the first checkpoint, if there is any.
  """

  generators: dict[str, Pretrained | Exported]
  expert: Pretrained | UserError
  image_size: int
  step: int | None


def load_networks(
  checkpoints: Mapping[str, str | Path], sync_expert: str | Path | None = None, trust_stablehlo: bool = False
) -> Networks:
  """Loads generators, or one sync expert, whose accuracy on filmed clips is then the result.

  Args:
    checkpoints: directories by name; none where only ready videos are scored.
    sync_expert: directory of the sync expert; by default the one that the first generator was trained with.
    trust_stablehlo: whether generators may be StableHLO, which is a program.

  Raises:
    UserError: a directory is no checkpoint, or holds another network.
  """
  networks = {name: pretrained.load(path, trust_stablehlo) for name, path in checkpoints.items()}
  image_size = max((each.config.model.image_size for each in networks.values()), default=DEFAULT_IMAGE_SIZE)
  step = next((network.step for network in networks.values()), None)
  for name, network in networks.items():
    if network.config.task == 'sync_expert' and len(networks) == 1 and isinstance(network, Pretrained):
      return Networks({}, network, image_size, step)
    if network.config.task != 'generator':
      raise UserError(f'checkpoint: {name} holds a {network.config.task}, not a generator', 'checkpoint')
  return Networks(networks, _load_expert(sync_expert, next(iter(checkpoints.values()), None)), image_size, step)


def _load_expert(sync_expert: str | Path | None, generator: str | Path | None) -> Pretrained | UserError:
  if sync_expert:
    return pretrained.load_expert(sync_expert)
  if generator is None:
    return UserError('needs sync_expert', 'sync_expert')
  try:
    return pretrained.load_expert_of(generator)
  except UserError as error:
    return error
