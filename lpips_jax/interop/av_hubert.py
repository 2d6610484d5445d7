"""The correspondence of AV-HuBERT's released tensors, named as in fairseq, to our variables; its sizes by its tensors.

Released are a base and a large network, pre-trained, and fine-tuned to transcribe English and, as MuAViC, other
languages (arXiv 2201.02184, 2303.00628). Fine-tuned ones are the `encoder.w2v_model` of a larger network.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from lpips_jax.interop.correspondence import Path, Source, convolution

MARKER_KEY = 'feature_extractor_video.resnet.frontend3D.0.weight'
PREFIX = 'encoder.w2v_model.'
# Only needed to pre-train, or to write down what is said.
UNUSED = 'mask_emb', 'label_embs_concat', 'final_proj.', 'target_glu.', 'decoder.', 'encoder.proj.'
HEAD_WIDTH = 64  # of each head of attention, in both sizes; no tensor tells
TENSOR_NAMES = {'kernel': 'weight', 'scale': 'weight', 'slope': 'weight', 'mean': 'running_mean', 'var': 'running_var'}
PLACES = {
  'from_speech': 'feature_extractor_audio.proj',
  'from_lips': 'feature_extractor_video.proj',
  'fusion_norm': 'layer_norm',
  'fusion': 'post_extract_proj',
}
STEM = {'stem': 0, 'stem_norm': 1, 'stem_prelu': 2}
RESIDUAL = {
  'conv_0': 'conv1',
  'conv_0_norm': 'bn1',
  'prelu_0': 'relu1',
  'conv_1': 'conv2',
  'conv_1_norm': 'bn2',
  'prelu_1': 'relu2',
  'shortcut': 'downsample.0',
  'shortcut_norm': 'downsample.1',
}
BLOCK = {
  'attention_norm': 'self_attn_layer_norm',
  'norm': 'final_layer_norm',
  'expand': 'fc1',
  'reduce': 'fc2',
  'query': 'self_attn.q_proj',
  'key': 'self_attn.k_proj',
  'value': 'self_attn.v_proj',
  'out': 'self_attn.out_proj',
}


def source_of(path: Path) -> Source:
  """Returns the source of a variable of `models.AVHubert`."""
  _, part, *modules, name = path
  if path[1:] == ('transformer', 'position', 'conv', 'kernel'):
    return Source(('encoder.pos_conv.0.weight_g', 'encoder.pos_conv.0.weight_v'), multiplied_out)
  key = f'{_place(part, modules)}.{TENSOR_NAMES.get(name, name)}'
  if name != 'kernel':
    return Source((key,), np.asarray)
  if modules == ['stem']:
    return Source((key,), _over_time)
  return Source((key,), convolution if part == 'lips' else np.transpose)


def sizes(state: Mapping[str, np.ndarray]) -> dict[str, Any]:
  """Returns the fields of `models.AVHubert` that its tensors tell: base, large, or any other.

  Raises:
    KeyError, IndexError, ValueError, ZeroDivisionError: they are not AV-HuBERT's.
  """
  width = len(state['post_extract_proj.weight'])
  stem, position = state[MARKER_KEY], state['encoder.pos_conv.0.weight_v']
  trunk = 'feature_extractor_video.resnet.trunk.layer{}.{}.conv1.weight'
  levels = _count(state, trunk.format(r'\d+', 0))
  if width % HEAD_WIDTH or width % position.shape[1]:
    raise ValueError(f'{width} features are no whole number of heads or groups')
  return {
    'stem_width': len(stem),
    'stem_kernel': stem.shape[-1],
    'lip_widths': tuple(len(state[trunk.format(level + 1, 0)]) for level in range(levels)),
    'lip_depths': tuple(_count(state, trunk.format(level + 1, r'\d+')) for level in range(levels)),
    'width': width,
    'layers': _count(state, r'encoder.layers.\d+.fc1.weight'),
    'heads': width // HEAD_WIDTH,
    'hidden': len(state['encoder.layers.0.fc1.weight']),
    'position_kernel': position.shape[2],
    'position_groups': width // position.shape[1],
  }


def multiplied_out(lengths: np.ndarray, directions: np.ndarray) -> np.ndarray:
  """Weight normalisation by taps: (1, 1, k), (out, in, k) -> (k, in, out) (Salimans and Kingma, arXiv 1602.07868)."""
  norms = np.sqrt(np.square(directions.astype(np.float64)).sum((0, 1), keepdims=True))
  return (lengths * directions / norms).transpose(2, 1, 0)


def _place(part: str, modules: list[str]) -> str:
  """Returns where fairseq has the layer."""
  if part in PLACES:
    return PLACES[part]
  layer = modules[-1]
  if part == 'lips':
    if layer in STEM:
      return f'feature_extractor_video.resnet.frontend3D.{STEM[layer]}'
    _, level, number = modules[0].split('_')
    return f'feature_extractor_video.resnet.trunk.layer{int(level) + 1}.{number}.{RESIDUAL[layer]}'
  if modules[0].startswith('block_'):
    return f'encoder.layers.{modules[0].removeprefix("block_")}.{BLOCK[layer]}'
  return 'encoder.layer_norm' if layer == 'norm' else 'encoder.pos_conv.0'


def _over_time(x: np.ndarray) -> np.ndarray:
  """(out, 1, 5, h, w) -> (h, w, 5, out)."""
  return x[:, 0].transpose(2, 3, 1, 0)


def _count(state: Mapping[str, np.ndarray], pattern: str) -> int:
  """Returns how many keys there are of a pattern; as many numbers, from the first one on, are then needed."""
  return sum(re.fullmatch(pattern.replace('.', r'\.'), key) is not None for key in state)
