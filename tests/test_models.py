"""The registry of networks: modules and their inputs by model config."""

import jax
import jax.numpy as jnp
import pytest
from ml_collections import ConfigDict

from lpips_jax import models


def config(**fields):
  return ConfigDict({'name': 'discriminator', 'image_size': 32, 'widths': [2, 4, 4, 4, 4, 4, 4]} | fields)


def test_a_config_is_a_module_with_its_fields():
  """Lists, as JSON has them, become tuples: Flax hashes modules."""
  module = models.build(config(dtype='bfloat16'))
  assert isinstance(module, models.Discriminator)
  assert (module.image_size, module.widths, module.dtype) == (32, (2, 4, 4, 4, 4, 4, 4), jnp.bfloat16)
  assert models.build(config()).dtype == jnp.float32
  hash(module)


def test_what_no_module_has_is_refused():
  with pytest.raises(ValueError, match="no model is called 'unet'; there are attn_wav2lip, av_hubert, discriminator"):
    models.build(config(name='unet'))
  with pytest.raises(TypeError, match='depth'):
    models.build(config(depth=3))


@pytest.mark.parametrize('name', models.MODELS)
def test_every_network_knows_its_example_inputs(name):
  inputs = models.example_inputs(ConfigDict({'name': name, 'image_size': 48}))
  assert all(x.shape[0] == 1 and x.dtype == jnp.float32 for x in inputs)
  pictures, others = ([x.shape for x in inputs if (48 in x.shape) == wanted] for wanted in (True, False))
  assert len(pictures) == 1 and pictures[0][-1] in (3, 6)
  assert [x[1:] for x in others] in ([], [(80, 16)], [(13, 20)], [(25, 104)])


def test_example_inputs_fit():
  module = models.build(config())
  out, _ = jax.eval_shape(module.init_with_output, jax.random.key(0), *models.example_inputs(config()))
  assert out.shape == (1,)
