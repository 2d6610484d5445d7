"""The lip reader's metrics equal those that `metrics.reading` counts, and a step lowers its loss."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

from lpips_jax import losses
from lpips_jax.audio.alphabets import ALPHABETS
from lpips_jax.metrics import reading
from lpips_jax.models import LipReader
from lpips_jax.training import reader_step
from lpips_jax.training.state import TrainState
from lpips_jax.training.step import StepSettings

RUN = ConfigDict({'losses': {'ctc': 0.5, 'frames': 2.0}})
RNG = np.random.default_rng(0)


def readings(alphabet, clips=6, frames=14, most=7):
  """Random log-odds, lengths and labels of clips; some of the labels are what was read."""
  classes = len(ALPHABETS[alphabet])
  length = RNG.integers(frames // 2, frames + 1, clips)
  labels = np.zeros((clips, most), np.int32)
  path = np.repeat(RNG.integers(0, classes, (clips, frames // 2)), 2, axis=1)
  logits = np.eye(classes, dtype=np.float32)[path] + 0.1
  for k in range(clips):
    said = reading.greedy(logits[k], length[k])[:most] if k % 2 else RNG.integers(1, classes, k + 1)
    labels[k, : len(said)] = said
    labels[k, 1] = labels[k, 0]
  return logits, length, labels


@pytest.mark.parametrize('alphabet', ALPHABETS)
def test_error_rates_are_those_counted_by_numpy(alphabet):
  logits, length, labels = readings(alphabet)
  found = jax.jit(reader_step.error_rates, static_argnums=3)(logits, length, labels, alphabet)
  clips = [
    reading.errors(said, reading.greedy(*read), alphabet) for said, *read in zip(labels, logits, length, strict=True)
  ]
  kinds = set(clips[0]) - {'word'}
  assert set(found) == {f'{kind}_error' for kind in kinds}
  for kind in kinds:
    expected = reading.added(clip[kind] for clip in clips).rate
    assert 0 < expected < 2
    np.testing.assert_allclose(found[f'{kind}_error'], expected, rtol=1e-6)


def test_distances_of_empty_sequences():
  read, said = np.array([[1, 2, 0], [0, 0, 0], [3, 3, 3]]), np.array([[0, 0], [1, 1], [3, 0]])
  np.testing.assert_array_equal(jax.jit(reader_step.edit_distances)(read, said), [2, 2, 2])


def test_metrics_are_weighted_and_per_label():
  logits, length, labels = readings('visemes')
  frame_labels = RNG.integers(-1, 4, logits.shape[:2])
  batch = {'length': length, 'labels': labels, 'frame_labels': frame_labels}
  found = reader_step.reader_metrics(RUN.losses, logits, batch)
  ctc = np.mean(losses.ctc(logits, length, labels) / (labels > 0).sum(-1))
  frames = np.mean(losses.frame_labels(logits, frame_labels))
  np.testing.assert_allclose([found['ctc'], found['frames']], [ctc, frames], rtol=1e-6)
  np.testing.assert_allclose(found['loss'], 0.5 * ctc + 2 * frames, rtol=1e-6)


@pytest.fixture(scope='module')
def trained():
  """A tiny reader before and after some steps on one batch, the batch, and the metrics of the steps."""
  model = LipReader('visemes', 16, 4, 3, (4, 8), (1, 1), 16, 1, 2, 32, 3, 2, dropout=0.1)
  frames = RNG.integers(256, size=(2, 6, 16, 16, 3), dtype=np.uint8)
  batch = {
    'frames': frames,
    'length': np.array([6, 4]),
    'labels': np.array([[1, 2, 0], [3, 0, 0]]),
    'frame_labels': np.array([[1, 1, 0, 2, 2, 2], [0, 3, 3, 0, -1, -1]]),
  }
  optimizer = optax.adam(1e-2)
  state = TrainState.create(jax.jit(model.init)(jax.random.key(0), frames), optimizer)
  step = jax.jit(
    reader_step.make_step(model, RUN, StepSettings(optimizer, lambda n: 1e-2, 0.5)),
    compiler_options={'xla_backend_optimization_level': 0},  # it takes far longer to compile than to run
  )
  first, metrics = state, []
  for _ in range(25):
    state, of_step = step(state, batch, {})
    metrics.append(jax.device_get(of_step))
  return SimpleNamespace(model=model, first=first, state=state, batch=batch, metrics=metrics)


def test_steps_lower_the_loss(trained):
  assert trained.metrics[-1]['loss'] < 0.5 * trained.metrics[0]['loss']
  assert set(trained.metrics[0]) == {'loss', 'ctc', 'frames', 'gradient_norm', 'learning_rate'}
  assert int(trained.state.step) == 25


@pytest.mark.parametrize('alphabet', ['visemes', 'characters'])
def test_evaluation_ranks_by_the_error(trained, alphabet):
  model = trained.model
  if alphabet == 'characters':
    model = model.clone(alphabet=alphabet)
    variables = model.init(jax.random.key(1), trained.batch['frames'])
  else:
    variables = trained.state.average
  evaluate = jax.jit(reader_step.make_evaluation(model, RUN))
  metrics, pictures = evaluate(variables, trained.batch, {})
  assert pictures == {}
  error = metrics['viseme_error' if alphabet == 'visemes' else 'character_error']
  np.testing.assert_allclose(metrics['ranking'], 1 - error)
  if alphabet == 'visemes':
    before, _ = evaluate(trained.first.average, trained.batch, {})
    assert metrics['ranking'] > before['ranking'] and metrics['loss'] < before['loss']


def test_shapes_of_a_batch():
  config = ConfigDict({'model': {'image_size': 64}, 'data': {'batch_size': 4, 'clip_frames': 75, 'max_labels': 40}})
  shapes = reader_step.batch_shapes(config)
  assert shapes['frames'].shape == (4, 75, 64, 64, 3) and shapes['frames'].dtype == jnp.uint8
  assert shapes['labels'].shape == (4, 40) and shapes['length'].shape == (4,)
  assert shapes['frame_labels'].shape == (4, 75)
