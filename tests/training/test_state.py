"""The moving average of a state."""

import jax.numpy as jnp
import numpy as np
import optax

from lpips_jax.training.state import TrainState


def test_the_average_forgets_its_start_sooner_at_the_beginning():
  optimizer = optax.sgd(1.0)
  state = TrainState.create({'params': {'x': jnp.array(1.0)}, 'batch_stats': {'m': jnp.array(1.0)}}, optimizer)
  expected, decays = 1.0, [1 / 10, 2 / 11, 3 / 12, 0.3, 0.3]  # (1 + step) / (10 + step), up to the one asked for
  for n, decay in enumerate(decays, 1):
    state = state.updated({'x': jnp.array(1.0)}, {'m': jnp.array(1.0 - n)}, optimizer, decay=0.3)
    expected = decay * expected + (1 - decay) * (1 - n)
    np.testing.assert_allclose(state.variables['params']['x'], 1 - n)
    np.testing.assert_allclose(state.average['params']['x'], expected, rtol=1e-6)
    np.testing.assert_allclose(state.average['batch_stats']['m'], expected, rtol=1e-6)
