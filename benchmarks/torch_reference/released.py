"""Wav2Lip's networks and LPIPS, of any widths, with the tensor names of their released weights.

Wav2Lip: Prajwal et al., arXiv 2008.10010. LPIPS: Zhang et al., arXiv 1801.03924, on torchvision's VGG16.
"""

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Size = int | tuple[int, int]
SPEECH_STRIDES: tuple[Size, ...] = 1, (3, 1), 3, (3, 2)
FACE_STRIDES: tuple[Size, ...] = (1, 2), 2, 2, 2, 2  # after the first level of the expert and the discriminator
FACE_KERNELS = 5, 3, 3, 3, 3
DISCRIMINATOR_KERNELS = 5, 5, 5, 3, 3
VGG_BLOCKS = (64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)


class Block(nn.Module):
  """Convolution, BatchNorm and ReLU; a residual block adds its input before the ReLU.

  With `transposed` it has a transposed convolution with that output padding.
  """

  def __init__(
    self,
    inputs: int,
    outputs: int,
    kernel: Size = 3,
    stride: Size = 1,
    padding: Size = 1,
    residual: bool = False,
    transposed: int | None = None,
  ) -> None:
    super().__init__()
    convolution: nn.Conv2d | nn.ConvTranspose2d
    if transposed is None:
      convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding)
    else:
      convolution = nn.ConvTranspose2d(inputs, outputs, kernel, stride, padding, output_padding=transposed)
    self.conv_block = nn.Sequential(convolution, nn.BatchNorm2d(outputs))
    self.residual = residual

  def forward(self, x: Tensor) -> Tensor:
    y = self.conv_block(x)
    return F.relu(y + x if self.residual else y, inplace=True)


class SyncExpert(nn.Module):
  """Wav2Lip's SyncNet_color: mels, mouths (n, 15, h/2, h) -> unit embeddings of speech and of faces, (n, d) each.

  Mouths are five lower halves, concatenated along the channels. Arguments are those of `lpips_jax.models.SyncExpert`.
  The contrastive variant ends without a ReLU, and scales and shifts the cosine.
  """

  def __init__(
    self,
    image_size: int = 96,
    stem_kernel: int = 7,
    face_widths: Sequence[int] = (32, 64, 128, 256, 512, 512, 512),
    face_residuals: Sequence[int] = (2, 3, 2, 2, 0),
    audio_widths: Sequence[int] = (32, 64, 128, 256, 512),
    audio_residuals: Sequence[int] = (2, 2, 2, 2),
    contrastive: bool = False,
  ) -> None:
    super().__init__()
    self.image_size = image_size
    layers: list[nn.Module] = [Block(15, face_widths[0], stem_kernel, padding=stem_kernel // 2)]
    levels = zip(face_widths, face_widths[1:6], FACE_KERNELS, FACE_STRIDES, face_residuals, strict=False)
    for inputs, width, kernel, stride, count in levels:
      layers += [Block(inputs, width, kernel, stride), *residual_blocks(width, count)]
    left = _kernel_left(image_size, FACE_KERNELS, [1] * 5)
    layers += [Block(face_widths[5], face_widths[6], left, padding=0), _last(face_widths[6], contrastive)]
    self.face_encoder = nn.Sequential(*layers)
    self.audio_encoder = speech_encoder(audio_widths, audio_residuals, contrastive)
    if contrastive:
      self.log_scale = nn.Parameter(torch.tensor(10.0).log())
      self.bias = nn.Parameter(torch.tensor(-5.0))

  def forward(self, mels: Tensor, mouths: Tensor) -> tuple[Tensor, Tensor]:
    speech, faces = (F.normalize(x.float().flatten(1)) for x in (self.audio_encoder(mels), self.face_encoder(mouths)))
    return speech, faces

  def logits(self, cosine: Tensor) -> Tensor:
    """The log-odds of being in sync, given the cosine of the two embeddings; any shape."""
    if hasattr(self, 'log_scale'):
      return self.log_scale.exp() * cosine + self.bias
    return torch.logit(cosine.clamp(1e-7, 1 - 1e-6))


def speech_encoder(widths: Sequence[int], residuals: Sequence[int], contrastive: bool = False) -> nn.Sequential:
  """Wav2Lip's speech encoder: mels -> (n, widths[-1], 1, 1)."""
  layers: list[nn.Module] = []
  inputs = 1
  for width, stride, count in zip(widths[:-1], SPEECH_STRIDES, residuals, strict=True):
    layers += [Block(inputs, width, stride=stride), *residual_blocks(width, count)]
    inputs = width
  return nn.Sequential(*layers, Block(inputs, widths[-1], padding=0), _last(widths[-1], contrastive))


def residual_blocks(width: int, count: int) -> list[Block]:
  return [Block(width, width, residual=True) for _ in range(count)]


def _last(width: int, contrastive: bool) -> nn.Module:
  return nn.Conv2d(width, width, 1) if contrastive else Block(width, width, 1, padding=0)


def _kernel_left(image_size: int, kernels: Sequence[int], paddings: Sequence[int]) -> tuple[int, int]:
  """Size of a lower half after the levels, which the last kernel spans: 3x3 at 96 pixels."""
  rows, columns = image_size // 2, image_size
  for kernel, padding, stride in zip(kernels, paddings, FACE_STRIDES, strict=True):
    down, across = (stride, stride) if isinstance(stride, int) else stride
    rows, columns = (rows + 2 * padding - kernel) // down + 1, (columns + 2 * padding - kernel) // across + 1
  return rows, columns


class Discriminator(nn.Module):
  """Wav2Lip's discriminator: lower halves (n, 3, image_size / 2, image_size) -> log-odds (n,), before its sigmoid."""

  def __init__(self, image_size: int = 96, widths: Sequence[int] = (32, 64, 128, 256, 512, 512, 512)) -> None:
    super().__init__()
    self.image_size = image_size
    levels = [nn.Sequential(Leaky(3, widths[0], 7, padding=3))]
    paddings = [kernel // 2 for kernel in DISCRIMINATOR_KERNELS]
    shapes = zip(widths, widths[1:6], DISCRIMINATOR_KERNELS, FACE_STRIDES, paddings, strict=False)
    for a, b, kernel, stride, padding in shapes:
      levels.append(nn.Sequential(Leaky(a, b, kernel, stride, padding), Leaky(b, b, kernel, 1, padding)))
    left = _kernel_left(image_size, DISCRIMINATOR_KERNELS, paddings)
    levels.append(nn.Sequential(Leaky(widths[5], widths[6], left), Leaky(widths[6], widths[6], 1)))
    self.face_encoder_blocks = nn.ModuleList(levels)
    self.binary_pred = nn.Sequential(nn.Conv2d(widths[6], 1, 1), nn.Sigmoid())

  def forward(self, x: Tensor) -> Tensor:
    for level in self.face_encoder_blocks:
      x = level(x)
    return self.binary_pred[0](x).float().flatten()


class Leaky(nn.Module):
  """Convolution and a leaky ReLU."""

  def __init__(self, inputs: int, outputs: int, kernel: Size, stride: Size = 1, padding: Size = 0) -> None:
    super().__init__()
    self.conv_block = nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, padding))

  def forward(self, x: Tensor) -> Tensor:
    return F.leaky_relu(self.conv_block(x), 0.01, inplace=True)


class Vgg16(nn.Module):
  """The convolutions of torchvision's VGG16: images -> the five feature maps that LPIPS compares."""

  def __init__(self, width: float = 1) -> None:
    super().__init__()
    layers: list[nn.Module] = []
    inputs = 3
    for block in VGG_BLOCKS:
      for full in block:
        outputs = max(1, round(width * full))
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True)]
        inputs = outputs
      layers.append(nn.MaxPool2d(2))
    self.features = nn.Sequential(*layers)

  def forward(self, x: Tensor) -> list[Tensor]:
    maps = []
    for layer in list(self.features)[:-1]:
      if isinstance(layer, nn.MaxPool2d):
        maps.append(x)
      x = layer(x)
    return [*maps, x]


class Lpips(nn.Module):
  """LPIPS 0.1 on VGG16: two batches (n, 3, h, w) of RGB in [-1, 1] -> (n,) (Zhang et al., arXiv 1801.03924)."""

  shift: Tensor
  scale: Tensor

  def __init__(self, width: float = 1) -> None:
    super().__init__()
    self.vgg = Vgg16(width)
    self.linear = nn.ParameterList(torch.ones(max(1, round(width * block[-1]))) for block in VGG_BLOCKS)
    self.register_buffer('shift', torch.tensor([-0.030, -0.088, -0.188])[:, None, None], persistent=False)
    self.register_buffer('scale', torch.tensor([0.458, 0.448, 0.450])[:, None, None], persistent=False)

  def forward(self, x: Tensor, y: Tensor) -> Tensor:
    """Returns the distances; only x gets a gradient."""
    with torch.no_grad():
      y_maps = self.vgg((y - self.shift) / self.scale)
    x_maps = self.vgg((x - self.shift) / self.scale)
    return reduce(torch.add, (_distance(*maps) for maps in zip(x_maps, y_maps, self.linear, strict=True)))


def _distance(x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
  """Weighted squared distance of channel-normalised features (n, c, h, w), averaged over positions: (n,)."""
  # A product and a sum, as autocast would round a matrix product to bfloat16.
  return ((_unit(x) - _unit(y)).square().mean((2, 3)) * weight).sum(1)


def _unit(features: Tensor) -> Tensor:
  return F.normalize(features.float(), eps=1e-10)
