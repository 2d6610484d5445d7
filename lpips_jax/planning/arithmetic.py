"""The floating-point operations of the instructions of optimised HLO: convolutions, products of matrices, FFTs.

A multiplication and an addition are two. What is done element by element, and sums, count nothing: on every device it
is bound by memory.
"""

import math
import re
from collections.abc import Mapping

import numpy as np

from lpips_jax.planning.hlo import Computations, Instruction, dimensions

_LABELS = re.compile(r'\bdim_labels=(\w+)_(\w+)->(\w+)')
_WINDOW = re.compile(r'\bwindow=\{([^}]*)\}')
_CONTRACTED = re.compile(r'\blhs_contracting_dim(?:s=\{|ensions":\[)([\d,"]*)')
_FFT = re.compile(r'\bfft_type=(\w+), fft_length=\{([\d,]*)\}')
_GROUPS = re.compile(r'\bbatch_group_count=(\d+)')
# In which order cuDNN's calls take and return the images, the kernel and the features of the forward convolution, whose
# window and labels they keep whatever they compute. Those that are not named here are forward ones.
_CUDNN = {'__cudnn$convBackwardInput': (2, 1, 0), '__cudnn$convBackwardFilter': (0, 2, 1)}
_TARGET = re.compile(r'\bcustom_call_target="([^"]*)"')


def shapes_of(computation: list[Instruction]) -> dict[str, str]:
  """Returns the shapes of what a computation's instructions make, by their names."""
  return {one.name: one.shape for one in computation}


def flops(one: Instruction, shapes: Mapping[str, str], computations: Computations) -> float:
  """Returns the operations of one run of an instruction, those of all that is fused into it together.

  Of convolutions only taps that meet a pixel count: neither padding nor the zeros of a dilation (XLA's own rule). An
  FFT of n numbers counts as 5 n log2 n, half of that if they are real (FFTW's rule).

  Args:
    one: what is asked about; loops and calls have no operations of their own.
    shapes: by name, of what it may take: those of its computation.
    computations: of the module, from `hlo.parse`.
  """
  if one.opcode == 'fusion':
    inside = computations[one.called[0]]
    inner = shapes_of(inside)
    return sum(flops(part, inner, computations) for part in inside)
  if one.opcode == 'dot':
    return _product(one, shapes)
  if one.opcode == 'convolution':
    return _convolution(one, [*(shapes[name] for name in one.operands), one.shape], (0, 1, 2))
  if one.opcode == 'fft':
    return _fft(one, shapes)
  if one.opcode != 'custom-call':
    return 0
  target = _TARGET.search(one.attributes)
  if target and target[1].startswith('__cudnn$conv') and _LABELS.search(one.attributes):
    of_call = [*(shapes[name] for name in one.operands[:2]), one.shape]
    return _convolution(one, of_call, _CUDNN.get(target[1], (0, 1, 2)))
  if target and target[1].startswith('__cublas$') and _CONTRACTED.search(one.attributes):
    return _product(one, shapes)
  return 0


def _product(one: Instruction, shapes: Mapping[str, str]) -> int:
  left = dimensions(shapes[one.operands[0]])
  contracted = [int(n) for n in re.findall(r'\d+', _CONTRACTED.search(one.attributes)[1])]
  return 2 * math.prod(dimensions(one.shape)) * math.prod(left[n] for n in contracted)


def _convolution(one: Instruction, of_call: list[str], order: tuple[int, int, int]) -> int:
  """Of operands and result, in which `order` picks the images, the kernel and the features."""
  images, kernel, features = (
    dict(zip(labels, dimensions(of_call[place]), strict=True))
    for labels, place in zip(_LABELS.search(one.attributes).groups(), order, strict=True)
  )
  groups = _GROUPS.search(one.attributes)
  pairs = kernel['i'] * kernel['o'] * images['b'] // (int(groups[1]) if groups else 1)
  window = _WINDOW.search(one.attributes)
  fields = dict(field.split('=') for field in window[1].split()) if window else {}
  places = sorted(filter(str.isdigit, images), key=int)
  strides, before, dilations, spreads = (
    _by_place(fields, name, len(places)) for name in ('stride', 'pad', 'lhs_dilate', 'rhs_dilate')
  )
  for n, place in enumerate(places):
    outputs = np.arange(features[place])[:, None] * strides[n] - before[n]
    met = outputs + np.arange(kernel[place]) * spreads[n]
    inside = (met >= 0) & (met <= (images[place] - 1) * dilations[n]) & (met % dilations[n] == 0)
    pairs *= int(inside.sum())
  return 2 * pairs


def _by_place(fields: Mapping[str, str], name: str, places: int) -> list[int]:
  """A field of a window, such as '2x1', along each axis; of padding, '1_1x0_1', what comes before."""
  if name not in fields:
    return [0 if name == 'pad' else 1] * places
  return [int(value.partition('_')[0]) for value in fields[name].split('x')]


def _fft(one: Instruction, shapes: Mapping[str, str]) -> float:
  kind, lengths = _FFT.search(one.attributes).groups()
  size = math.prod(int(n) for n in lengths.split(','))
  real = {'RFFT': shapes[one.operands[0]], 'IRFFT': one.shape}.get(kind)
  return (2.5 if real else 5) * math.prod(dimensions(real or one.shape)) * math.log2(size)
