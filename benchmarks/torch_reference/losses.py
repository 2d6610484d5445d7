"""The losses of `lpips_jax.losses`, with the same arguments and results; they are documented there."""

import torch
from torch import Tensor
from torch.nn import functional as F


def sync(logits: Tensor) -> Tensor:
  """-log p of being in sync, given its log-odds, clamped at 100: same shape."""
  return F.softplus(-logits).clamp(max=100)


def adversarial(generated: Tensor, kind: str) -> Tensor:
  """The generator's loss, given the discriminator's log-odds of its frames: same shape."""
  return F.softplus(-generated) if kind == 'bce' else -generated


def discrimination(filmed: Tensor, generated: Tensor, kind: str) -> Tensor:
  """The discriminator's loss, given its log-odds of filmed and generated frames: same shape."""
  if kind == 'bce':
    return F.softplus(-filmed) + F.softplus(generated)
  return F.relu(1 - filmed) + F.relu(1 + generated)


def contrastive(logits: Tensor, clip: Tensor, start: Tensor, minimum_offset: int) -> Tensor:
  """InfoNCE in both directions: (n, n) -> (n,)."""
  near = (clip[:, None] == clip) & ((start[:, None] - start).abs() < minimum_offset)
  logits = logits.masked_fill(near & ~torch.eye(len(clip), dtype=torch.bool, device=clip.device), -torch.inf)
  labels = torch.arange(len(logits), device=logits.device)
  faces, speech = (F.cross_entropy(x, labels, reduction='none') for x in (logits, logits.T))
  return (faces + speech) / 2


def balanced_bce(
  logits: Tensor, clip: Tensor, start: Tensor, minimum_offset: int, hardness: Tensor | float = 0.0
) -> Tensor:
  """Binary cross-entropy that weighs positive and negative pairs equally: (n, n) -> (n,)."""
  negative = off_sync(clip, start, minimum_offset)
  in_sync = F.softplus(-logits.diagonal())
  weight = (hardness * logits.detach()).masked_fill(~negative, -torch.inf).softmax(-1).masked_fill(~negative, 0)
  out_of_sync = (weight * F.softplus(logits)).sum(-1)
  return torch.where(negative.any(-1), (in_sync + out_of_sync) / 2, in_sync)


def trust(logits: Tensor, windows: int, exponent: float) -> Tensor:
  """Self-paced weights of windows, without a gradient: (n, n) -> (n,) with mean 1."""
  in_sync = F.logsigmoid(logits.detach().diagonal().unflatten(0, (-1, windows)).mean(-1))
  return ((exponent * in_sync).softmax(0) * len(in_sync)).repeat_interleave(windows)


def off_sync(clip: Tensor, start: Tensor, minimum_offset: int) -> Tensor:
  """Mask of the negatives: pairs of one clip that are far enough apart, (n, n) bool."""
  return (clip[:, None] == clip) & ((start[:, None] - start).abs() >= minimum_offset)
