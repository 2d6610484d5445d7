"""The released networks in PyTorch, written from their layer tables, with the released names of their tensors.

Networks that benchmarks also compare with are in `benchmarks.torch_reference.released`.
"""

import torch
from torch import cat, nn, tensor
from torch.nn import functional

from benchmarks.torch_reference.released import Block, residual_blocks, speech_encoder


class Wav2Lip(nn.Module):
  """mels (n, 1, 80, 16), faces (n, 6, 96, 96) BGR -> (n, 3, 96, 96) BGR."""

  def __init__(self):
    super().__init__()
    levels = [(16, 32, 2), (32, 64, 3), (64, 128, 2), (128, 256, 2), (256, 512, 1)]
    encoder = [nn.Sequential(Block(6, 16, 7, padding=3))]
    encoder += [nn.Sequential(Block(a, b, stride=2), *residual_blocks(b, n)) for a, b, n in levels]
    self.face_encoder_blocks = nn.ModuleList(
      [*encoder, nn.Sequential(Block(512, 512, padding=0), Block(512, 512, 1, padding=0))]
    )
    self.audio_encoder = speech_encoder((32, 64, 128, 256, 512), (2, 2, 2, 1))
    levels = [(1024, 512, 2), (768, 384, 2), (512, 256, 2), (320, 128, 2), (160, 64, 2)]
    self.face_decoder_blocks = nn.ModuleList(
      [
        nn.Sequential(Block(512, 512, 1, padding=0)),
        nn.Sequential(Block(1024, 512, padding=0, transposed=0), *residual_blocks(512, 1)),
        *(nn.Sequential(Block(a, b, stride=2, transposed=1), *residual_blocks(b, n)) for a, b, n in levels),
      ]
    )
    self.output_block = nn.Sequential(Block(80, 32), nn.Conv2d(32, 3, 1), nn.Sigmoid())

  def forward(self, mels, faces):
    features = []
    for block in self.face_encoder_blocks:
      faces = block(faces)
      features.append(faces)
    x = self.audio_encoder(mels)
    for block in self.face_decoder_blocks:
      x = cat([block(x), features.pop()], 1)
    return self.output_block(x)


def normalised(convolution, norm):
  return [convolution, norm(convolution.out_channels), nn.ReLU()]


class SyncNet(nn.Module):
  """MFCCs (n, 1, 13, 20), frames (n, 3, 5, 224, 224) BGR in 0..255 -> features of speech and of lips, (n, 1024)."""

  def __init__(self):
    super().__init__()
    self.netcnnaud = nn.Sequential(
      *normalised(nn.Conv2d(1, 64, 3, padding=1), nn.BatchNorm2d),
      nn.MaxPool2d((1, 1), (1, 1)),
      *normalised(nn.Conv2d(64, 192, 3, padding=1), nn.BatchNorm2d),
      nn.MaxPool2d(3, (1, 2)),
      *normalised(nn.Conv2d(192, 384, 3, padding=1), nn.BatchNorm2d),
      *normalised(nn.Conv2d(384, 256, 3, padding=1), nn.BatchNorm2d),
      *normalised(nn.Conv2d(256, 256, 3, padding=1), nn.BatchNorm2d),
      nn.MaxPool2d(3, 2),
      *normalised(nn.Conv2d(256, 512, (5, 4)), nn.BatchNorm2d),
    )
    self.netcnnlip = nn.Sequential(
      *normalised(nn.Conv3d(3, 96, (5, 7, 7), (1, 2, 2)), nn.BatchNorm3d),
      nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
      *normalised(nn.Conv3d(96, 256, (1, 5, 5), (1, 2, 2), (0, 1, 1)), nn.BatchNorm3d),
      nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
      *normalised(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1)), nn.BatchNorm3d),
      *normalised(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1)), nn.BatchNorm3d),
      *normalised(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1)), nn.BatchNorm3d),
      nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
      *normalised(nn.Conv3d(256, 512, (1, 6, 6)), nn.BatchNorm3d),
    )
    self.netfcaud, self.netfclip = (
      nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 1024)) for _ in range(2)
    )

  def forward(self, mfccs, frames):
    return self.netfcaud(self.netcnnaud(mfccs).flatten(1)), self.netfclip(self.netcnnlip(frames).flatten(1))


class Basic(nn.Module):
  def __init__(self, inputs, outputs, kernel=1, stride=1, padding=0):
    super().__init__()
    self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
    self.bn = nn.BatchNorm2d(outputs, eps=0.001)

  def forward(self, x):
    return functional.relu(self.bn(self.conv(x)))


class Branches(nn.Module):
  """Branches side by side, each a pair of a pooling function or None, and a list of layers.

  A layer is (name, outputs, kernel, stride, padding). A branch that forks ends in a list of two layers, which both get
  the output of the layer before.
  """

  def __init__(self, inputs, *branches):
    super().__init__()
    self.branches = []
    for pool, layers in branches:
      width, names = inputs, []
      for layer in layers:
        fork = layer if isinstance(layer, list) else [layer]
        for name, outputs, kernel, stride, padding in fork:
          self.add_module(name, Basic(width, outputs, kernel, stride, padding))
        width = fork[0][1]
        names.append([name for name, *_ in fork])
      self.branches.append((pool, names))

  def forward(self, x):
    outputs = []
    for pool, names in self.branches:
      y = x if pool is None else pool(x)
      for fork in names[:-1]:
        y = getattr(self, fork[0])(y)
      outputs += [getattr(self, name)(y) for name in (names[-1] if names else [])] or [y]
    return cat(outputs, 1)


def average(x):
  return functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def maximum(x):
  return functional.max_pool2d(x, 3, 1, 1)


def halved(x):
  return functional.max_pool2d(x, 3, 2)


def mixed_a(inputs, pooled):
  return Branches(
    inputs,
    (None, [('branch1x1', 64, 1, 1, 0)]),
    (None, [('branch5x5_1', 48, 1, 1, 0), ('branch5x5_2', 64, 5, 1, 2)]),
    (None, [('branch3x3dbl_1', 64, 1, 1, 0), ('branch3x3dbl_2', 96, 3, 1, 1), ('branch3x3dbl_3', 96, 3, 1, 1)]),
    (average, [('branch_pool', pooled, 1, 1, 0)]),
  )


def mixed_b():
  return Branches(
    288,
    (None, [('branch3x3', 384, 3, 2, 0)]),
    (None, [('branch3x3dbl_1', 64, 1, 1, 0), ('branch3x3dbl_2', 96, 3, 1, 1), ('branch3x3dbl_3', 96, 3, 2, 0)]),
    (halved, []),
  )


def mixed_c(width):
  row, column = ((1, 7), 1, (0, 3)), ((7, 1), 1, (3, 0))
  return Branches(
    768,
    (None, [('branch1x1', 192, 1, 1, 0)]),
    (None, [('branch7x7_1', width, 1, 1, 0), ('branch7x7_2', width, *row), ('branch7x7_3', 192, *column)]),
    (
      None,
      [
        ('branch7x7dbl_1', width, 1, 1, 0),
        ('branch7x7dbl_2', width, *column),
        ('branch7x7dbl_3', width, *row),
        ('branch7x7dbl_4', width, *column),
        ('branch7x7dbl_5', 192, *row),
      ],
    ),
    (average, [('branch_pool', 192, 1, 1, 0)]),
  )


def mixed_d():
  return Branches(
    768,
    (None, [('branch3x3_1', 192, 1, 1, 0), ('branch3x3_2', 320, 3, 2, 0)]),
    (
      None,
      [
        ('branch7x7x3_1', 192, 1, 1, 0),
        ('branch7x7x3_2', 192, (1, 7), 1, (0, 3)),
        ('branch7x7x3_3', 192, (7, 1), 1, (3, 0)),
        ('branch7x7x3_4', 192, 3, 2, 0),
      ],
    ),
    (halved, []),
  )


def mixed_e(inputs, pool):
  def fork(name):
    return [(f'{name}a', 384, (1, 3), 1, (0, 1)), (f'{name}b', 384, (3, 1), 1, (1, 0))]

  return Branches(
    inputs,
    (None, [('branch1x1', 320, 1, 1, 0)]),
    (None, [('branch3x3_1', 384, 1, 1, 0), fork('branch3x3_2')]),
    (None, [('branch3x3dbl_1', 448, 1, 1, 0), ('branch3x3dbl_2', 384, 3, 1, 1), fork('branch3x3dbl_3')]),
    (pool, [('branch_pool', 192, 1, 1, 0)]),
  )


class Inception(nn.Module):
  """images (n, 3, h, w) RGB in [0, 1] -> (n, 2048)."""

  def __init__(self):
    super().__init__()
    layers = {
      'Conv2d_1a_3x3': Basic(3, 32, 3, 2),
      'Conv2d_2a_3x3': Basic(32, 32, 3),
      'Conv2d_2b_3x3': Basic(32, 64, 3, padding=1),
      'pool_1': nn.MaxPool2d(3, 2),
      'Conv2d_3b_1x1': Basic(64, 80),
      'Conv2d_4a_3x3': Basic(80, 192, 3),
      'pool_2': nn.MaxPool2d(3, 2),
      'Mixed_5b': mixed_a(192, 32),
      'Mixed_5c': mixed_a(256, 64),
      'Mixed_5d': mixed_a(288, 64),
      'Mixed_6a': mixed_b(),
      'Mixed_6b': mixed_c(128),
      'Mixed_6c': mixed_c(160),
      'Mixed_6d': mixed_c(160),
      'Mixed_6e': mixed_c(192),
      'Mixed_7a': mixed_d(),
      'Mixed_7b': mixed_e(1280, average),
      'Mixed_7c': mixed_e(2048, maximum),
    }
    for name, layer in layers.items():
      self.add_module(name, layer)
    self.layers = list(layers)
    self.fc = nn.Linear(2048, 1008)

  def forward(self, x):
    x = 2 * functional.interpolate(x, (299, 299), mode='bilinear', align_corners=False) - 1
    for name in self.layers:
      x = getattr(self, name)(x)
    return x.mean((2, 3))


class Linear(nn.Module):
  """lpips' weights for the channels of a feature map: the second of two layers; the first is a dropout."""

  def __init__(self, channels):
    super().__init__()
    self.model = nn.Sequential(nn.Dropout(), nn.Conv2d(channels, 1, 1, bias=False))

  def forward(self, x):
    return self.model(x)


class LinearWeights(nn.Module):
  def __init__(self):
    super().__init__()
    for i, channels in enumerate((64, 128, 256, 512, 512)):
      self.add_module(f'lin{i}', Linear(channels))


def lpips(vgg, linear, x, y):
  """(n, 3, h, w) RGB in [-1, 1], twice -> (n,), as in Zhang et al., arXiv 1801.03924, eq. 1."""
  shift, scale = tensor([-0.030, -0.088, -0.188])[:, None, None], tensor([0.458, 0.448, 0.450])[:, None, None]
  total = 0
  for i, (a, b) in enumerate(zip(vgg((x - shift) / scale), vgg((y - shift) / scale), strict=True)):
    a, b = (z / (z.pow(2).sum(1, keepdim=True).sqrt() + 1e-10) for z in (a, b))
    total = total + getattr(linear, f'lin{i}')((a - b) ** 2).mean((1, 2, 3))
  return total


def save_released(network, path, prefix='', **beside):
  """Saves a network with random weights and statistics in the format of the released files; returns it."""
  torch.manual_seed(0)
  for name, value in network.state_dict().items():
    if name.endswith('running_mean'):
      value.normal_(0, 0.1)
    elif name.endswith('running_var'):
      value.uniform_(0.5, 2)
  network.eval()
  state = {prefix + name: value for name, value in network.state_dict().items()}
  torch.save({'state_dict': state, **beside} if beside else state, path)
  return network
