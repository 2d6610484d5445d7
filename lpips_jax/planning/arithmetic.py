"""The floating-point operations of instructions of optimised HLO: convolutions, matrix products, FFTs.

A multiplication and an addition are two operations. Element-wise operations and reductions count nothing: memory binds
them on every device. See `hlo` for why they are not taken from XLA's own cost analysis.
"""

import math
import re
from collections.abc import Mapping

import numpy as np

from lpips_jax.planning.hlo import Computations, Instruction, dimensions, matched

_LABELS = re.compile(r'\bdim_labels=(\w+)_(\w+)->(\w+)')
_WINDOW = re.compile(r'\bwindow=\{([^}]*)\}')
_CONTRACTED = re.compile(r'\blhs_contracting_dim(?:s=\{|ensions":\[)([\d,"]*)')
_FFT = re.compile(r'\bfft_type=(\w+), fft_length=\{([\d,]*)\}')
_GROUPS = re.compile(r'\bbatch_group_count=(\d+)')
# The places of the forward convolution's images, kernel and features among the operands and the result of a cuDNN call.
# Gradients keep the window and the labels of the forward convolution. Calls that are not named here are forward ones.
_FORWARD_ORDER = (0, 1, 2)
_CUDNN_ORDERS = {'__cudnn$convBackwardInput': (2, 1, 0), '__cudnn$convBackwardFilter': (0, 2, 1)}
_TARGET = re.compile(r'\bcustom_call_target="([^"]*)"')


def shapes_of(computation: list[Instruction]) -> dict[str, str]:
  """Returns the shapes of the results of a computation's instructions, by the instructions' names."""
  return {instruction.name: instruction.shape for instruction in computation}


def flops(instruction: Instruction, shapes: Mapping[str, str], computations: Computations) -> float:
  """Returns the operations of one run of an instruction; a fusion's are the sum over everything fused into it.

  A convolution counts only the taps that meet a pixel: neither padding nor the zeros of a dilation (XLA's own rule). An
  FFT of n numbers counts as 5 n log2 n, half of that if they are real (FFTW's rule).

  Args:
    instruction: the instruction; loops and calls have no operations of their own.
    shapes: the shapes of its computation's instructions, by name.
    computations: of the module, from `hlo.parse`.
  """
  if instruction.opcode == 'fusion':
    inside = computations[instruction.called[0]]
    inner = shapes_of(inside)
    return sum(flops(part, inner, computations) for part in inside)
  if instruction.opcode == 'dot':
    return _product(instruction, shapes)
  if instruction.opcode == 'convolution':
    return _convolution(
      instruction, [*(shapes[name] for name in instruction.operands), instruction.shape], _FORWARD_ORDER
    )
  if instruction.opcode == 'fft':
    return _fft(instruction, shapes)
  if instruction.opcode != 'custom-call':
    return 0
  target = _TARGET.search(instruction.attributes)
  if target and target[1].startswith('__cudnn$conv') and _LABELS.search(instruction.attributes):
    call_shapes = [*(shapes[name] for name in instruction.operands[:2]), instruction.shape]
    return _convolution(instruction, call_shapes, _CUDNN_ORDERS.get(target[1], _FORWARD_ORDER))
  if target and target[1].startswith('__cublas$') and _CONTRACTED.search(instruction.attributes):
    return _product(instruction, shapes)
  return 0


def _product(instruction: Instruction, shapes: Mapping[str, str]) -> int:
  left = dimensions(shapes[instruction.operands[0]])
  contracted = [int(n) for n in re.findall(r'\d+', matched(_CONTRACTED, instruction.attributes)[1])]
  return 2 * math.prod(dimensions(instruction.shape)) * math.prod(left[n] for n in contracted)


def _convolution(instruction: Instruction, call_shapes: list[str], order: tuple[int, int, int]) -> int:
  """Returns a convolution's operations.

  Args:
    instruction: the convolution.
    call_shapes: the shapes of its two operands and of its result.
    order: the places among them of the images, the kernel and the features.
  """
  images, kernel, features = (
    dict(zip(labels, dimensions(call_shapes[place]), strict=True))
    for labels, place in zip(matched(_LABELS, instruction.attributes).groups(), order, strict=True)
  )
  groups = _GROUPS.search(instruction.attributes)
  pairs = kernel['i'] * kernel['o'] * images['b'] // (int(groups[1]) if groups else 1)
  window = _WINDOW.search(instruction.attributes)
  fields = dict(field.split('=') for field in window[1].split()) if window else {}
  places = sorted(filter(str.isdigit, images), key=int)
  strides, before, dilations, spreads = (
    _along_axes(fields, name, len(places)) for name in ('stride', 'pad', 'lhs_dilate', 'rhs_dilate')
  )
  for n, place in enumerate(places):
    outputs = np.arange(features[place])[:, None] * strides[n] - before[n]
    inputs = outputs + np.arange(kernel[place]) * spreads[n]
    inside = (inputs >= 0) & (inputs <= (images[place] - 1) * dilations[n]) & (inputs % dilations[n] == 0)
    pairs *= int(inside.sum())
  return 2 * pairs


def _along_axes(fields: Mapping[str, str], name: str, axes: int) -> list[int]:
  """Returns a window's field, such as '2x1', for each axis; for padding, '1_1x0_1', the part before the data."""
  if name not in fields:
    return [0 if name == 'pad' else 1] * axes
  return [int(value.partition('_')[0]) for value in fields[name].split('x')]


def _fft(instruction: Instruction, shapes: Mapping[str, str]) -> float:
  kind, lengths = matched(_FFT, instruction.attributes).groups()
  size = math.prod(int(n) for n in lengths.split(','))
  real = {'RFFT': shapes[instruction.operands[0]], 'IRFFT': instruction.shape}.get(kind)
  return (2.5 if real else 5) * math.prod(dimensions(real or instruction.shape)) * math.log2(size)
