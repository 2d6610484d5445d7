"""The training steps of `lpips_jax.training.generator_step` and `expert_step`, as idiomatic PyTorch.

Batches are the same, as tensors: images (..., h, w, 3) uint8, which are scaled, masked and stacked on the device. A
step changes the networks, their average and the optimisers' states in place. Only the running variances of BatchNorm
differ: PyTorch's are unbiased, Flax's are not.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.torch_reference import losses
from benchmarks.torch_reference.networks import Generator
from benchmarks.torch_reference.recipes import Recipe
from benchmarks.torch_reference.released import Discriminator, Lpips, SyncExpert

Batch = dict[str, Tensor]
Metrics = dict[str, Tensor]
Step = Callable[[Batch], Metrics]


@dataclass(frozen=True)
class Networks:
  """The networks of a generator's step: generator, frozen expert, LPIPS, and the discriminator if there is one."""

  generator: Generator
  expert: SyncExpert
  lpips: Lpips
  discriminator: Discriminator | None = None


def make_generator_step(networks: Networks, average: nn.Module, config: Any, recipe: Recipe) -> Step:
  """Returns `step(batch) -> metrics`, which never waits for the device.

  Args:
    networks: networks on the device; this freezes the expert and LPIPS.
    average: a copy of the generator, which becomes its moving average.
    config: a config such as configs/lrs2.py's; all losses count from the first step, with neither warm-up nor gate.
    recipe: how to run.

  Raises:
    ValueError: the config has R1 regularisation or gradient accumulation.
  """
  if config.losses.r1 or config.accumulate > 1:
    raise ValueError('the reference has neither r1 nor accumulation')
  networks.generator.train()
  networks.expert.eval().requires_grad_(False)  # running statistics: a generator could game those of its batch
  networks.lpips.requires_grad_(False)
  generator, discriminator = networks.generator, networks.discriminator
  optimizer = make_optimizer(generator, config.optimizer, recipe)
  weights = config.losses.to_dict()  # plain, so that torch.compile can read it
  objective = recipe.translated(partial(_generator_objective, networks, weights, recipe))
  if discriminator:
    adversary = make_optimizer(discriminator, config.optimizer, recipe)
    discrimination = recipe.translated(partial(_discrimination, discriminator, weights, recipe))
  steps = itertools.count()

  def step(batch: Batch) -> Metrics:
    recipe.begin_step()
    number = next(steps)
    if discriminator:
      discriminator.requires_grad_(False)
    metrics, target, generated = objective(batch)
    metrics['loss'].backward()
    norms = {'gradient_norm': _descend(generator, optimizer, number, config)}
    update_average(average, generator, number, config.average_decay)
    if discriminator:
      discriminator.requires_grad_(True)
      metrics['discriminator'] = discrimination(target, generated.detach())
      metrics['discriminator'].backward()
      norms['discriminator_gradient_norm'] = _descend(discriminator, adversary, number, config)
    return {name: value.detach() for name, value in metrics.items()} | norms

  return step


def _generator_objective(
  networks: Networks, weights: dict[str, Any], recipe: Recipe, batch: Batch
) -> tuple[Metrics, Tensor, Tensor]:
  """Returns the losses, the target frames and the generated frames, (n, 3, h, w) each."""
  expert, discriminator = networks.expert, networks.discriminator
  target, reference = (images(batch[name], recipe) for name in ('target', 'reference'))
  with recipe.autocast():
    generated = networks.generator(generator_faces(target, reference), batch['mel'].flatten(0, 1)[:, None])
    mouths = windows(lower_half_at(generated, expert.image_size), batch['mel'].shape[1])
    speech, faces = expert(batch['window_mel'][:, None], mouths)
    metrics = {
      'reconstruction': (generated - target).abs().mean(),
      'lower_half': F.mse_loss(lower_half(generated), lower_half(target)),
      'sync': losses.sync(expert.logits((faces * speech).sum(-1))).mean(),
      'perceptual': networks.lpips(2 * generated - 1, 2 * target - 1).mean(),
    }
    if discriminator:
      logits = discriminator(lower_half_at(generated, discriminator.image_size))
      metrics['adversarial'] = losses.adversarial(logits, weights['adversarial_kind']).mean()
  metrics['loss'] = sum(weights[name] * value for name, value in metrics.items() if weights[name])
  return metrics, target, generated


def _discrimination(
  discriminator: Discriminator, weights: dict[str, Any], recipe: Recipe, target: Tensor, generated: Tensor
) -> Tensor:
  with recipe.autocast():
    logits = discriminator(lower_half_at(torch.cat([target, generated]), discriminator.image_size))
  filmed_logits, generated_logits = logits.chunk(2)
  return losses.discrimination(filmed_logits, generated_logits, weights['adversarial_kind']).mean()


def make_expert_step(expert: SyncExpert, average: nn.Module, config: Any, recipe: Recipe) -> Step:
  """Returns `step(batch) -> metrics`; arguments as for `make_generator_step`, config such as lrs2_sync_expert.py's."""
  expert.train()
  optimizer = make_optimizer(expert, config.optimizer, recipe)

  weights = config.losses.to_dict()  # plain, so that torch.compile can read it
  objective = recipe.translated(partial(_expert_objective, expert, weights, config.minimum_offset, recipe))
  steps = itertools.count()

  def step(batch: Batch) -> Metrics:
    recipe.begin_step()
    number = next(steps)
    share = min(1, number / max(config.losses.hardness_steps, 1))
    # A tensor, so that a compiled step is not compiled again.
    hardness = torch.full((), config.losses.hardness * share, device=recipe.device)
    metrics = objective(batch, hardness)
    metrics['loss'].backward()
    metrics = {name: value.detach() for name, value in metrics.items()}
    metrics['gradient_norm'] = _descend(expert, optimizer, number, config)
    update_average(average, expert, number, config.average_decay)
    return metrics

  return step


def _expert_objective(
  expert: SyncExpert, weights: dict[str, Any], minimum_offset: int, recipe: Recipe, batch: Batch, hardness: Tensor
) -> Metrics:
  clips, count, frames = batch['frames'].shape[:3]
  mouths = lower_half_at(images(batch['frames'], recipe), expert.image_size)
  with recipe.autocast():
    speech, faces = expert(batch['mel'].flatten(0, 1)[:, None], windows(mouths, frames))
  logits = expert.logits(faces @ speech.T)  # in float32
  clip = torch.arange(clips, device=logits.device).repeat_interleave(count)
  pairs = logits, clip, batch['start'].flatten(), minimum_offset
  nce, bce = losses.contrastive(*pairs), losses.balanced_bce(*pairs, hardness)
  share = losses.trust(logits, count, weights['trust'])
  return {
    'loss': (share * (weights['contrastive'] * nce + weights['bce'] * bce)).mean(),
    'bce': losses.balanced_bce(*pairs).mean(),
    'contrastive': nce.mean(),
    'accuracy': _accuracy(*pairs),
    'ranking': _ranking(*pairs),
  }


def make_optimizer(network: nn.Module, config: Any, recipe: Recipe) -> torch.optim.Optimizer:
  """Returns Adam with decoupled weight decay of kernels; without decay and not tuned, it is Wav2Lip's."""
  betas = config.b1, config.b2
  fused = True if recipe.tuned else None  # None: PyTorch chooses another one
  decayed = [
    {'params': [x for x in network.parameters() if x.ndim > 1], 'weight_decay': config.weight_decay},
    {'params': [x for x in network.parameters() if x.ndim <= 1], 'weight_decay': 0.0},
  ]
  return torch.optim.AdamW(decayed, config.learning_rate, betas, fused=fused)


def learning_rate(config: Any, step: int) -> float:
  """Linear warm-up, then constant: `lpips_jax.training.optimizer.learning_rate` without cosine decay and scaling."""
  return config.learning_rate * min(step / max(config.warmup_steps, 1), 1)


def update_average(average: nn.Module, network: nn.Module, step: int, decay: float) -> None:
  """Moves parameters and BatchNorm statistics of the average towards the network's, faster at the start of a run."""
  decay = min(decay, (1 + step) / (10 + step))
  old, new = ([x for x in _state(module) if x.is_floating_point()] for module in (average, network))
  with torch.no_grad():
    torch._foreach_lerp_(old, new, 1 - decay)


def images(frames: Tensor, recipe: Recipe) -> Tensor:
  """(..., h, w, 3) uint8 -> (n, 3, h, w) in [0, 1]."""
  frames = frames.flatten(0, -4).permute(0, 3, 1, 2)
  return (frames.float() / 255).contiguous(memory_format=recipe.memory_format)


def generator_faces(target: Tensor, reference: Tensor) -> Tensor:
  """(n, 3, h, w) twice -> (n, 6, h, w): the target without its lower half, then the reference."""
  height = target.shape[2]
  masked = F.pad(target[:, :, : height // 2], (0, 0, 0, height - height // 2))
  return torch.cat([masked, reference], 1)


def lower_half(frames: Tensor) -> Tensor:
  return frames[:, :, frames.shape[2] // 2 :]


def lower_half_at(frames: Tensor, size: int) -> Tensor:
  """The lower half, resized with antialiasing: (n, c, h, w) -> (n, c, size // 2, size)."""
  half, wanted = lower_half(frames), (size // 2, size)
  if half.shape[2:] == wanted:
    return half
  return F.interpolate(half.float(), wanted, mode='bilinear', antialias=True)


def windows(frames: Tensor, count: int) -> Tensor:
  """Concatenates consecutive frames along the channels: (b count, c, h, w) -> (b, count c, h, w)."""
  return frames.unflatten(0, (-1, count)).flatten(1, 2)


def _accuracy(logits: Tensor, clip: Tensor, start: Tensor, minimum_offset: int) -> Tensor:
  off_sync = losses.off_sync(clip, start, minimum_offset)
  hits = (logits.diagonal() > 0).float().mean()
  return (hits + (off_sync & (logits <= 0)).sum() / off_sync.sum().clamp(min=1)) / 2


def _ranking(logits: Tensor, clip: Tensor, start: Tensor, minimum_offset: int) -> Tensor:
  off_sync = losses.off_sync(clip, start, minimum_offset)
  return (off_sync & (logits < logits.diagonal()[:, None])).sum() / off_sync.sum().clamp(min=1)


def _descend(network: nn.Module, optimizer: torch.optim.Optimizer, step: int, config: Any) -> Tensor:
  """Applies and clears the gradients; returns their norm before clipping."""
  norm = nn.utils.clip_grad_norm_(network.parameters(), config.optimizer.clip_norm)
  for group in optimizer.param_groups:
    group['lr'] = learning_rate(config.optimizer, step)
  optimizer.step()
  optimizer.zero_grad(set_to_none=True)
  return norm


def _state(module: nn.Module) -> itertools.chain:
  return itertools.chain(module.parameters(), module.buffers())
