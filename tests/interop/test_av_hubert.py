"""AV-HuBERT, converted from files as fairseq writes them, against PyTorch; its parts against other implementations."""

import json
import sys
import types

import jax
import numpy as np
import pytest

torch = pytest.importorskip('torch')

import torch_av_hubert
from torch_av_hubert import randomised

from lpips_jax import pretrained
from lpips_jax.core.errors import UserError
from lpips_jax.interop.av_hubert import multiplied_out, sizes, source_of
from lpips_jax.interop.convert import convert
from lpips_jax.interop.correspondence import converted
from lpips_jax.models.inputs import mouth_crop
from lpips_jax.models.lip_front_end import LipFrontEnd
from lpips_jax.models.transformer import Transformer

SIZES = {
  'width': 128,
  'layers': 2,
  'hidden': 96,
  'kernel': 8,
  'groups': 4,
  'stem': 6,
  'stem_kernel': 5,
  'widths': (6, 8, 12),
  'depths': (2, 1, 2),
}
RNG = np.random.default_rng(0)
SPEECH = RNG.standard_normal((2, 9, 104)).astype(np.float32)
CROPS = RNG.integers(0, 256, (2, 9, 96, 96, 3), dtype=np.uint8)
LENGTH = np.array([9, 6])


@pytest.fixture(scope='module')
def theirs():
  torch.manual_seed(0)
  return randomised(torch_av_hubert.AVHubert(**SIZES))


@pytest.fixture
def fairseq(monkeypatch):
  """Classes of a package that is not there where files are read."""
  module = types.ModuleType('fairseq_like')
  for name in ('Dictionary', 'Config'):
    setattr(module, name, type(name, (), {'__module__': 'fairseq_like'}))
  monkeypatch.setitem(sys.modules, 'fairseq_like', module)
  return module


def saved(path, state, fairseq):
  config, dictionary = fairseq.Config(), fairseq.Dictionary()
  config.task, dictionary.symbols = {'data': '/x'}, ['<s>', 'a']
  torch.save({'cfg': config, 'args': None, 'model': state, 'task_state': {'dictionaries': [dictionary]}}, path)
  del sys.modules['fairseq_like']
  return path


def fine_tuned(state):
  unused = ('mask_emb', 'final_proj', 'label_embs_concat')
  kept = {f'encoder.w2v_model.{key}': value for key, value in state.items() if not key.startswith(unused)}
  return kept | {'decoder.embed_tokens.weight': torch.zeros(3, 128), 'decoder.layers.0.fc1.bias': torch.zeros(2)}


@pytest.mark.parametrize('kind', ['pre-trained', 'fine-tuned'])
def test_features_equal_pytorchs(kind, theirs, fairseq, tmp_path):
  state = theirs.state_dict()
  path = saved(tmp_path / 'base.pt', state if kind == 'pre-trained' else fine_tuned(state), fairseq)
  assert convert(path, tmp_path / 'out').startswith('AV-HuBERT, ')
  network = pretrained.load(tmp_path / 'out')
  assert network.config.task == 'av_expert' and network.model.clusters == 0
  card = (tmp_path / 'out' / 'MODEL_CARD.md').read_text()
  assert 'research licence' in card and 'non-commercial' in card

  mouths = torch.from_numpy(np.array(mouth_crop(CROPS, 88)))
  speech, length = torch.from_numpy(SPEECH), torch.from_numpy(LENGTH)
  for heard, seen in ((True, True), (True, False), (False, True)):
    with torch.no_grad():
      expected = theirs(speech if heard else None, mouths if seen else None, length).numpy()
    with jax.default_matmul_precision('highest'):
      ours = network.model.apply(network.variables, SPEECH if heard else None, CROPS if seen else None, LENGTH)
    for clip, frames in enumerate(LENGTH):
      np.testing.assert_allclose(ours[clip, :frames], expected[clip, :frames], atol=1e-4)
    assert expected.std() > 0.3


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    (lambda state: state.pop('post_extract_proj.weight'), 'do not tell its size'),
    (lambda state: state.pop('encoder.layers.0.fc1.weight'), 'do not tell its size'),
    (lambda state: state.pop('encoder.layers.1.fc1.weight'), 'surplus: encoder.layers.1.fc1.bias'),
    (lambda state: state.pop('encoder.layers.1.fc2.weight'), 'missing: encoder.layers.1.fc2.weight'),
    (lambda state: state.update({'encoder.layers.99999999.fc1.weight': torch.zeros(1)}), 'missing'),
    (lambda state: state.update({'encoder.pos_conv.0.weight_v': torch.zeros(128, 0, 8)}), 'do not tell its size'),
    (lambda state: state.update({'post_extract_proj.weight': torch.zeros(100, 200)}), 'do not tell its size'),
    (lambda state: state.update(extra=torch.zeros(1)), 'surplus: extra'),
  ],
)
def test_what_does_not_fit_is_one_line(change, message, theirs, fairseq, tmp_path):
  state = dict(theirs.state_dict())
  change(state)
  with pytest.raises(UserError) as caught:
    convert(saved(tmp_path / 'x.pt', state, fairseq), tmp_path / 'out')
  assert message in str(caught.value) and '\n' not in str(caught.value)
  assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
  ('width', 'layers', 'heads', 'hidden'), [(768, 12, 12, 3072), (1024, 24, 16, 4096)], ids=['base', 'large']
)
def test_base_and_large_are_recognised(width, layers, heads, hidden):
  """By shapes alone: on PyTorch's meta device they take no memory."""
  with torch.device('meta'):
    released = torch_av_hubert.AVHubert(width, layers, hidden, 128, 16, 64, 7, (64, 128, 256, 512), (2, 2, 2, 2))
  state = {key: np.broadcast_to(np.float32(0), value.shape) for key, value in released.state_dict().items()}
  found = sizes(state)
  ours = {'stem_width': 64, 'stem_kernel': 7, 'lip_widths': (64, 128, 256, 512), 'lip_depths': (2, 2, 2, 2)}
  position = {'position_kernel': 128, 'position_groups': 16}
  assert found == ours | position | {'width': width, 'layers': layers, 'heads': heads, 'hidden': hidden}
  assert json.loads(json.dumps(found))['width'] == width


def test_weight_normalisation_is_multiplied_out():
  convolution = torch_av_hubert.NormalisedConv(6, 4, 3)
  found = multiplied_out(convolution.weight_g.detach().numpy(), convolution.weight_v.detach().numpy())
  np.testing.assert_allclose(found, convolution.weight.detach().numpy().transpose(2, 1, 0), atol=1e-6)


def variables_from(module, prefix, state, *inputs):
  """A part of the network, converted alone."""
  shapes = jax.eval_shape(module.init, jax.random.key(0), *inputs)

  def source(path):
    return source_of((path[0], prefix, *path[1:]))

  return converted(shapes, source, state)


def test_the_transformer_equals_that_of_transformers():
  transformers = pytest.importorskip('transformers')
  config = transformers.HubertConfig(
    hidden_size=128,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=96,
    num_conv_pos_embeddings=8,
    num_conv_pos_embedding_groups=4,
    do_stable_layer_norm=True,
    attn_implementation='eager',
  )
  from transformers.models.hubert.modeling_hubert import HubertEncoderStableLayerNorm

  torch.manual_seed(0)
  encoder = randomised(HubertEncoderStableLayerNorm(config))
  names = [
    ('pos_conv_embed.conv.parametrizations.weight.original0', 'pos_conv.0.weight_g'),
    ('pos_conv_embed.conv.parametrizations.weight.original1', 'pos_conv.0.weight_v'),
    ('pos_conv_embed.conv.bias', 'pos_conv.0.bias'),
    ('.final_layer_norm.', '.final_layer_norm.'),
    ('.attention.', '.self_attn.'),
    ('.feed_forward.intermediate_dense.', '.fc1.'),
    ('.feed_forward.output_dense.', '.fc2.'),
  ]
  state = {}
  for key, value in encoder.state_dict().items():
    if key.startswith('layers.') and '.layer_norm.' in key:
      key = key.replace('.layer_norm.', '.self_attn_layer_norm.')
    for old, new in names:
      key = key.replace(old, new)
    state[f'encoder.{key}'] = value.numpy()
  x = RNG.standard_normal((2, 9, 128)).astype(np.float32)
  module = Transformer(2, 2, 96, position_kernel=8, position_groups=4)
  variables = variables_from(module, 'transformer', state, x)
  mask = torch.arange(9) < torch.from_numpy(LENGTH)[:, None]
  with torch.no_grad():
    expected = encoder(torch.from_numpy(x.copy()), attention_mask=mask).last_hidden_state.numpy()
  ours = jax.jit(module.apply)(variables, x, LENGTH)
  for clip, frames in enumerate(LENGTH):
    np.testing.assert_allclose(ours[clip, :frames], expected[clip, :frames], atol=1e-4)


def test_the_trunk_equals_torchvisions_resnet_18():
  """Whose first convolution sees one frame: as the middle one of five; and whose ReLUs are PReLUs of slope 0."""
  torchvision = pytest.importorskip('torchvision')
  torch.manual_seed(0)
  resnet = randomised(torchvision.models.resnet18())
  video, trunk = 'feature_extractor_video.resnet', {}
  for key, value in resnet.state_dict().items():
    if key.startswith('layer'):
      trunk[f'{video}.trunk.{key}'] = value.numpy()
    elif key.startswith('bn1.'):
      trunk[key.replace('bn1', f'{video}.frontend3D.1')] = value.numpy()
  grey = resnet.conv1.weight.detach().sum(1).numpy()
  stem = np.zeros((64, 1, 5, 7, 7), np.float32)
  stem[:, 0, 2] = grey
  trunk[f'{video}.frontend3D.0.weight'] = stem
  trunk[f'{video}.frontend3D.2.weight'] = np.zeros(64, np.float32)
  for level, number, relu in np.ndindex(4, 2, 2):
    slope = np.zeros(64 << level, np.float32)
    trunk[f'{video}.trunk.layer{level + 1}.{number}.relu{relu + 1}.weight'] = slope
  trunk = {key: value for key, value in trunk.items() if not key.endswith('num_batches_tracked')}
  mouths = RNG.standard_normal((1, 3, 88, 88)).astype(np.float32)
  variables = variables_from(LipFrontEnd(), 'lips', trunk, mouths)
  resnet.fc = torch.nn.Identity()
  with torch.no_grad():
    expected = resnet(torch.from_numpy(mouths[0])[:, None].expand(-1, 3, -1, -1)).numpy()
  ours = jax.jit(LipFrontEnd().apply)(variables, mouths)[0]
  np.testing.assert_allclose(ours, expected, atol=1e-4 * np.abs(expected).max())
