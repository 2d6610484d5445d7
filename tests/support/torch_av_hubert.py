"""AV-HuBERT in PyTorch, written from the description of its layers, with fairseq's names of its tensors."""

import torch
from torch import nn
from torch.nn import functional


class Residual(nn.Module):
  def __init__(self, inputs, outputs, stride):
    super().__init__()
    self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
    self.relu1, self.relu2 = nn.PReLU(outputs), nn.PReLU(outputs)
    self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
    if stride != 1 or inputs != outputs:
      self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

  def forward(self, x):
    y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
    return self.relu2(y + (self.downsample(x) if hasattr(self, 'downsample') else x))


class Resnet(nn.Module):
  """mouths (n, 1, t, h, w) -> (n, t, d)."""

  def __init__(self, stem, kernel, widths, depths):
    super().__init__()
    self.frontend3D = nn.Sequential(
      nn.Conv3d(1, stem, (5, kernel, kernel), (1, 2, 2), (2, kernel // 2, kernel // 2), bias=False),
      nn.BatchNorm3d(stem),
      nn.PReLU(stem),
      nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
    )
    self.trunk = nn.Sequential()
    inputs = stem
    for level, (width, depth) in enumerate(zip(widths, depths, strict=True)):
      blocks = [Residual(width if k else inputs, width, 2 if level and not k else 1) for k in range(depth)]
      self.trunk.add_module(f'layer{level + 1}', nn.Sequential(*blocks))
      inputs = width

  def forward(self, x):
    x = self.frontend3D(x)
    n, c, t, h, w = x.shape
    x = self.trunk(x.transpose(1, 2).reshape(n * t, c, h, w))
    return x.mean((2, 3)).reshape(n, t, -1)


class Video(nn.Module):
  def __init__(self, width, stem, kernel, widths, depths):
    super().__init__()
    self.resnet = Resnet(stem, kernel, widths, depths)
    self.proj = nn.Linear(widths[-1], width)


class Audio(nn.Module):
  def __init__(self, width):
    super().__init__()
    self.proj = nn.Linear(104, width)


class SelfAttention(nn.Module):
  def __init__(self, width, heads):
    super().__init__()
    self.k_proj, self.v_proj, self.q_proj, self.out_proj = (nn.Linear(width, width) for _ in range(4))
    self.heads = heads

  def forward(self, x, padding):
    n, t, width = x.shape
    q, k, v = (
      layer(x).reshape(n, t, self.heads, -1).transpose(1, 2) for layer in (self.q_proj, self.k_proj, self.v_proj)
    )
    y = functional.scaled_dot_product_attention(q, k, v, attn_mask=~padding[:, None, None])
    return self.out_proj(y.transpose(1, 2).reshape(n, t, width))


class Layer(nn.Module):
  def __init__(self, width, heads, hidden):
    super().__init__()
    self.self_attn, self.self_attn_layer_norm = SelfAttention(width, heads), nn.LayerNorm(width)
    self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
    self.final_layer_norm = nn.LayerNorm(width)

  def forward(self, x, padding):
    x = x + self.self_attn(self.self_attn_layer_norm(x), padding)
    return x + self.fc2(functional.gelu(self.fc1(self.final_layer_norm(x))))


class NormalisedConv(nn.Module):
  """A grouped convolution over time whose kernel is a direction and a length for each tap."""

  def __init__(self, width, kernel, groups):
    super().__init__()
    self.weight_v = nn.Parameter(0.1 * torch.randn(width, width // groups, kernel))
    self.weight_g = nn.Parameter(0.5 + torch.rand(1, 1, kernel))
    self.bias = nn.Parameter(torch.zeros(width))
    self.groups = groups

  @property
  def weight(self):
    return torch._weight_norm(self.weight_v, self.weight_g, 2)

  def forward(self, x):
    return functional.conv1d(x, self.weight, self.bias, padding=self.weight_v.shape[2] // 2, groups=self.groups)


class Encoder(nn.Module):
  """(n, t, width), padding (n, t), true where there is nothing -> (n, t, width)."""

  def __init__(self, width, layers, heads, hidden, kernel, groups):
    super().__init__()
    self.pos_conv = nn.Sequential(NormalisedConv(width, kernel, groups))
    self.layers = nn.ModuleList(Layer(width, heads, hidden) for _ in range(layers))
    self.layer_norm = nn.LayerNorm(width)

  def forward(self, x, padding):
    x = x.masked_fill(padding[..., None], 0)
    positions = self.pos_conv(x.transpose(1, 2))[..., : x.shape[1]]  # even kernels yield one too many
    x = x + functional.gelu(positions).transpose(1, 2)
    for layer in self.layers:
      x = layer(x, padding)
    return self.layer_norm(x)


class AVHubert(nn.Module):
  """speech (n, t, 104), mouths (n, t, h, w), length (n,) -> (n, t, width)."""

  def __init__(self, width, layers, hidden, kernel, groups, stem, stem_kernel, widths, depths):
    super().__init__()
    self.feature_extractor_audio = Audio(width)
    self.feature_extractor_video = Video(width, stem, stem_kernel, widths, depths)
    self.layer_norm, self.post_extract_proj = nn.LayerNorm(2 * width), nn.Linear(2 * width, width)
    self.encoder = Encoder(width, layers, width // 64, hidden, kernel, groups)
    self.mask_emb, self.final_proj = nn.Parameter(torch.rand(104)), nn.Linear(width, 256)
    self.label_embs_concat = nn.Parameter(torch.rand(500, 256))

  def forward(self, speech, mouths, length):
    padding = torch.arange(speech.shape[1] if mouths is None else mouths.shape[1]) >= length[:, None]
    heard = speech if speech is None else self.feature_extractor_audio.proj(speech)
    if mouths is not None:
      mouths = mouths.masked_fill(padding[..., None, None], 0)
      seen = self.feature_extractor_video.proj(self.feature_extractor_video.resnet(mouths[:, None]))
    else:
      seen = torch.zeros_like(heard)
    both = torch.cat([torch.zeros_like(seen) if heard is None else heard, seen], -1)
    return self.encoder(self.post_extract_proj(self.layer_norm(both)), padding)


def randomised(module):
  """The module in evaluation mode with parameters and statistics none of which is neutral."""
  generator = torch.Generator().manual_seed(0)
  with torch.no_grad():
    for name, value in [*module.named_parameters(), *module.named_buffers()]:
      if value.is_floating_point() and value.ndim <= 1:
        noise = torch.randn(value.shape, generator=generator)
        value.add_(noise.abs() if 'running_var' in name else 0.2 * noise)
  return module.eval()
