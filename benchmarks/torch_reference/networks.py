"""LPIPS-AttnWav2Lip's generator. Autocast chooses the dtype of convolutions; statistics and transforms are float32."""

import inspect
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.torch_reference.released import Block, Discriminator, SyncExpert, speech_encoder

PAPER = {'attention': True, 'fusion': 'adain', 'speech': 'mel', 'output': 'image'}


def build(config: Any) -> nn.Module:
  """Returns the module of a model config, as `lpips_jax.models.build` does; raises ValueError for an ablation."""
  module = {'attn_wav2lip': Generator, 'sync_expert': SyncExpert, 'discriminator': Discriminator}[config.name]
  changed = [name for name, value in PAPER.items() if config.get(name, value) != value]
  if changed:
    raise ValueError(f'the reference has no other {", ".join(changed)} than the paper')
  fields = inspect.signature(module).parameters
  return module(**{name: value for name, value in config.items() if name in fields})


class Generator(nn.Module):
  """LPIPS-AttnWav2Lip: faces (n, 6, h, w), masked target then reference, mels -> (n, 3, h, w), images in [0, 1].

  Arguments are those of `lpips_jax.models.Generator`, of the paper's variant: with CBAM and AdaIN.
  """

  def __init__(
    self,
    widths: Sequence[int] = (32, 64, 128, 256, 512),
    stem_kernel: int = 7,
    blocks: int = 2,
    bottleneck: int = 2,
    audio_widths: Sequence[int] = (32, 64, 128, 256, 512),
    audio_residuals: Sequence[int] = (2, 2, 2, 1),
  ) -> None:
    super().__init__()
    self.audio_encoder = speech_encoder(audio_widths, audio_residuals)
    self.stem = Block(6, widths[0], stem_kernel, padding=stem_kernel // 2)
    self.encoder = nn.ModuleDict()
    for level, (inputs, width) in enumerate(pairwise(widths), 1):
      self.encoder[str(level)] = Down(inputs, width, blocks)
    code = audio_widths[-1]
    self.bottleneck = nn.ModuleList(SemanticAlignment(widths[-1], code) for _ in range(bottleneck))
    self.decoder, inputs = nn.ModuleDict(), widths[-1]
    for level in range(len(widths) - 1, 0, -1):
      width = widths[max(level - 1, 1)]
      self.decoder[str(level)] = Up(inputs, width, blocks, code if level > 1 else None)
      inputs = width + widths[level - 1]
    self.head = Block(inputs, widths[0])
    self.to_rgb = nn.Conv2d(widths[0], 3, 1)

  def forward(self, faces: Tensor, mels: Tensor) -> Tensor:
    speech = self.audio_encoder(mels).flatten(1)
    skips = [self.stem(faces)]
    for level in self.encoder.values():
      skips.append(level(skips[-1]))
    x = skips.pop()
    for align in self.bottleneck:
      x = align(x, speech)
    for level in self.decoder.values():
      x = torch.cat([level(x, speech), skips.pop()], 1)
    return torch.sigmoid(self.to_rgb(self.head(x)).float())


class Down(nn.Module):
  """A level of the encoder: half the size, then residual blocks."""

  def __init__(self, inputs: int, width: int, blocks: int) -> None:
    super().__init__()
    self.down = Block(inputs, width, stride=2)
    self.blocks = nn.Sequential(*(ResidualCBAM(width) for _ in range(blocks)))

  def forward(self, x: Tensor) -> Tensor:
    return self.blocks(self.down(x))


class Up(nn.Module):
  """A level of the decoder: twice the size, residual blocks, and speech where there is a `code` size."""

  def __init__(self, inputs: int, width: int, blocks: int, code: int | None) -> None:
    super().__init__()
    self.up = Block(inputs, width, stride=2, transposed=1)
    self.blocks = nn.Sequential(*(ResidualCBAM(width) for _ in range(blocks)))
    self.fusion = SemanticAlignment(width, code) if code else None

  def forward(self, x: Tensor, speech: Tensor) -> Tensor:
    x = self.blocks(self.up(x))
    return self.fusion(x, speech) if self.fusion else x


class ResidualCBAM(nn.Module):
  """ReLU(x + CBAM(BN(conv3x3(x)))) (Woo et al., arXiv 1807.06521)."""

  def __init__(self, width: int) -> None:
    super().__init__()
    self.conv = nn.Conv2d(width, width, 3, padding=1, bias=False)
    self.norm = nn.BatchNorm2d(width)
    self.channel_gate = ChannelGate(width)
    self.spatial_gate = SpatialGate()

  def forward(self, x: Tensor) -> Tensor:
    return F.relu(x + self.spatial_gate(self.channel_gate(self.norm(self.conv(x)))), inplace=True)


class ChannelGate(nn.Module):
  """Weighs channels by sigmoid(MLP(average) + MLP(maximum)), one MLP for both."""

  def __init__(self, width: int, reduction: int = 16) -> None:
    super().__init__()
    hidden = max(width // reduction, 4)
    self.squeeze, self.excite = nn.Linear(width, hidden), nn.Linear(hidden, width)

  def forward(self, x: Tensor) -> Tensor:
    pooled = torch.stack([x.mean((2, 3)), x.amax((2, 3))], 1)
    of_average, of_maximum = self.excite(F.relu(self.squeeze(pooled))).unbind(1)
    gate = (of_average + of_maximum).sigmoid()  # not `sum`, after which autocast would continue in float32
    return x * gate[:, :, None, None]


class SpatialGate(nn.Module):
  """Weighs positions by sigmoid(BN(conv7x7([max; mean] over channels)))."""

  def __init__(self) -> None:
    super().__init__()
    self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)
    self.norm = nn.BatchNorm2d(1)

  def forward(self, x: Tensor) -> Tensor:
    pooled = torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], 1)
    return x * self.norm(self.conv(pooled)).sigmoid()


class SemanticAlignment(nn.Module):
  """x + F(F(x, z), z), F an `AlignedFourierConv` on a quarter local, three quarters global channels."""

  def __init__(self, width: int, code: int, local_share: float = 0.25) -> None:
    super().__init__()
    local = int(width * local_share)
    self.split = local, width - local
    self.first, self.second = (AlignedFourierConv(*self.split, code) for _ in range(2))

  def forward(self, x: Tensor, z: Tensor) -> Tensor:
    local, global_ = x.split(self.split, 1)
    return x + torch.cat(self.second(*self.first(local, global_, z), z), 1)


class AlignedFourierConv(nn.Module):
  """Fast Fourier convolution, then AdaIN and a leaky ReLU on each branch."""

  def __init__(self, local: int, global_: int, code: int) -> None:
    super().__init__()
    self.ffc = FastFourierConv(local, global_)
    self.adain_local, self.adain_global = AdaIN(local, code), AdaIN(global_, code)

  def forward(self, local: Tensor, global_: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    local, global_ = self.ffc(local, global_)
    return F.leaky_relu(self.adain_local(local, z), 0.01), F.leaky_relu(self.adain_global(global_, z), 0.01)


class AdaIN(nn.Module):
  """(1 + gamma(z)) (x - mean) / std + beta(z), statistics over positions (Huang and Belongie, arXiv 1703.06868)."""

  def __init__(self, width: int, code: int, hidden: int = 128) -> None:
    super().__init__()
    self.hidden = nn.Linear(code, hidden)
    self.gamma, self.beta = nn.Linear(hidden, width), nn.Linear(hidden, width)

  def forward(self, x: Tensor, z: Tensor) -> Tensor:
    code = F.relu(self.hidden(z))
    gamma, beta = (linear(code).float()[:, :, None, None] for linear in (self.gamma, self.beta))
    variance, mean = torch.var_mean(x.float(), (2, 3), correction=0, keepdim=True)
    # One scale and one shift per channel: even without a compiler the map is read and written once.
    scale = (1 + gamma) * torch.rsqrt(variance + 1e-5)
    return torch.addcmul(beta - mean * scale, x.float(), scale).to(x.dtype)


class FastFourierConv(nn.Module):
  """local' = C(local) + C(global); global' = C(local) + ST(global) (Chi et al., NeurIPS 2020)."""

  def __init__(self, local: int, global_: int) -> None:
    super().__init__()
    self.local_to_local = nn.Conv2d(local, local, 3, bias=False)
    self.global_to_local = nn.Conv2d(global_, local, 3, bias=False)
    self.local_to_global = nn.Conv2d(local, global_, 3, bias=False)
    self.global_to_global = SpectralTransform(global_)

  def forward(self, local: Tensor, global_: Tensor) -> tuple[Tensor, Tensor]:
    around_local, around_global = (F.pad(x, (1, 1, 1, 1), 'reflect') for x in (local, global_))
    local_out = self.local_to_local(around_local) + self.global_to_local(around_global)
    return local_out, self.local_to_global(around_local) + self.global_to_global(global_)


class SpectralTransform(nn.Module):
  """1x1 reduction h, then a 1x1 convolution of h + FourierUnit(h)."""

  def __init__(self, width: int) -> None:
    super().__init__()
    self.reduce = nn.Conv2d(width, width // 2, 1, bias=False)
    self.norm = nn.BatchNorm2d(width // 2)
    self.fourier_unit = FourierUnit(width // 2)
    self.expand = nn.Conv2d(width // 2, width, 1, bias=False)

  def forward(self, x: Tensor) -> Tensor:
    hidden = F.relu(self.norm(self.reduce(x)), inplace=True)
    return self.expand(hidden + self.fourier_unit(hidden))


class FourierUnit(nn.Module):
  """A 1x1 convolution, BN and ReLU over the real and imaginary parts of the spectrum, in float32 as FFTs require."""

  def __init__(self, width: int) -> None:
    super().__init__()
    self.conv = nn.Conv2d(2 * width, 2 * width, 1, bias=False)
    self.norm = nn.BatchNorm2d(2 * width)

  def forward(self, x: Tensor) -> Tensor:
    spectrum = torch.fft.rfft2(x.float(), norm='ortho')
    parts = torch.cat([spectrum.real, spectrum.imag], 1)
    real, imaginary = F.relu(self.norm(self.conv(parts)), inplace=True).float().chunk(2, 1)
    return torch.fft.irfft2(torch.complex(real, imaginary), s=x.shape[-2:], norm='ortho').to(x.dtype)
