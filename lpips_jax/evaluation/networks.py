"""The networks of an evaluation: the generators that are scored, and the experts that score them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from lpips_jax import pretrained
from lpips_jax.core.constants import AV_EXPERT, LIP_READER, SYNC_EXPERT
from lpips_jax.core.errors import UserError
from lpips_jax.pretrained import Exported, Pretrained
from lpips_jax.pretrained.checkpoint_dir import JUDGES

DEFAULT_IMAGE_SIZE = 96  # pixels of the crops of ready videos, where no checkpoint says otherwise


class Networks(NamedTuple):
  """The networks of an evaluation.

  Attributes:
    generators: those that are scored, by name.
    expert: the sync expert that scores lips, or the error that says why there is none.
    image_size: side of the crops that are scored, in pixels: the largest that a checkpoint was trained on.
    step: the number of updates of the first checkpoint, if there is any.
    readers: lip readers that score lips, by name; '' is the name of the only one.
    av_expert: an audio-visual expert that scores lips, if any.
    remarks: a sentence for each generator and expert of which one was trained with the other.
  """

  generators: dict[str, Pretrained | Exported]
  expert: Pretrained | UserError
  image_size: int
  step: int | None
  readers: Mapping[str, Pretrained] = {}
  av_expert: Pretrained | None = None
  remarks: Sequence[str] = ()


def load_networks(
  checkpoints: Mapping[str, str | Path],
  sync_expert: str | Path | None = None,
  trust_stablehlo: bool = False,
  lip_readers: Mapping[str, str | Path] = {},
  av_expert: str | Path | None = None,
) -> Networks:
  """Loads generators, or one expert or lip reader, whose accuracy on filmed clips is then the result.

  Args:
    checkpoints: directories by name; none where only ready videos are scored.
    sync_expert: directory of the sync expert; by default the one that the first generator was trained with.
    trust_stablehlo: whether generators may be StableHLO, which is a program.
    lip_readers: directories of lip readers by name; '' is the name of the only one.
    av_expert: directory of an audio-visual expert, if lips are to be scored by one.

  Raises:
    UserError: a directory is no checkpoint, or holds another network.
  """
  readers = {name: pretrained.load_of_task(path, LIP_READER) for name, path in lip_readers.items()}
  listener = pretrained.load_of_task(av_expert, AV_EXPERT) if av_expert else None
  networks = {name: pretrained.load(path, trust_stablehlo) for name, path in checkpoints.items()}
  image_size = max((each.config.model.image_size for each in networks.values()), default=DEFAULT_IMAGE_SIZE)
  step = next((network.step for network in networks.values()), None)
  for name, network in networks.items():
    if network.config.task in JUDGES and len(networks) == 1 and isinstance(network, Pretrained):
      return _alone(network, sync_expert, readers, listener)
    if network.config.task != 'generator':
      raise UserError(f'checkpoint: {name} holds a {network.config.task}, not a generator', 'checkpoint')
  expert = _load_expert(sync_expert, next(iter(checkpoints.values()), None))
  remarks = list(_remarks(checkpoints, readers, listener))
  return Networks(networks, expert, image_size, step, readers, listener, remarks)


def _alone(
  network: Pretrained, sync_expert: str | Path | None, readers: Mapping[str, Pretrained], av_expert: Pretrained | None
) -> Networks:
  """A network that judges itself on filmed clips, beside other judges that were asked for."""
  task, size, step = network.config.task, network.config.model.image_size, network.step
  expert = network if task == SYNC_EXPERT else _load_expert(sync_expert, None)
  if task == LIP_READER:
    others = {name or 'other': reader for name, reader in readers.items()}
    readers = {'checkpoint' if others else '': network, **others}
  return Networks({}, expert, size, step, readers, network if task == AV_EXPERT else av_expert)


def _remarks(
  checkpoints: Mapping[str, str | Path], readers: Mapping[str, Pretrained], av_expert: Pretrained | None
) -> Iterator[str]:
  """Sentences about generators that were trained with one of the networks that judge them."""
  judges = [(LIP_READER, 'lip reader', f' {name}' if name else '', reader) for name, reader in readers.items()]
  if av_expert is not None:
    judges.append((AV_EXPERT, 'audio-visual expert', '', av_expert))
  for generator, path in checkpoints.items():
    for task, title, name, judge in judges:
      if _is_teacher(path, task, judge):
        yield (
          f'{generator} was trained with the {title}{name} that judges it here, its teacher, which flatters it: judge '
          'by one of another seed.'
        )


def _is_teacher(generator: str | Path, task: str, judge: Pretrained) -> bool:
  """Returns whether a generator keeps a copy of this very network, with which it was trained."""
  if pretrained.is_exported(generator):
    return False  # it keeps no copies
  kept = pretrained.find(generator) / task
  return kept.is_dir() and pretrained.load_of_task(kept, task).fingerprint == judge.fingerprint


def _load_expert(sync_expert: str | Path | None, generator: str | Path | None) -> Pretrained | UserError:
  if sync_expert:
    return pretrained.load_expert(sync_expert)
  if generator is None:
    return UserError('needs sync_expert', 'sync_expert')
  try:
    return pretrained.load_expert_of(generator)
  except UserError as error:
    return error
