"""The profile of some steps: it holds them and no others, and is whole whatever ends the run."""

import contextlib
import gzip
import json

import jax
import jax.numpy as jnp
import pytest
from runs import PowerCut, cut_after, run, tiny_config

from lpips_jax.training.profiling import Profile, steps_of


@jax.jit
def step(x):
  return x @ x + 1


def profile(text, tmp_path, lines=None):
  said = lines if lines is not None else []
  return Profile(text, tmp_path, contextlib.nullcontext, said.append)


def traced_steps(workdir):
  """The numbers of the steps in each trace, and the names of all events."""
  traces = [json.loads(gzip.decompress(path.read_bytes())) for path in sorted(workdir.rglob('*.trace.json.gz'))]
  events = [[event for event in trace['traceEvents'] if 'name' in event] for trace in traces]
  numbers = [[int(e['args']['step_num']) for e in each if e['name'] == 'train'] for each in events]
  return [sorted(each) for each in numbers], {event['name'] for each in events for event in each}


@pytest.mark.parametrize(('text', 'steps'), [('', []), ('3:3', [3]), ('9:11', [9, 10, 11]), ('100:101', [100, 101])])
def test_ranges(text, steps):
  assert list(steps_of(text)) == steps


@pytest.mark.parametrize('text', ['3', '3:', ':3', '4:3', '0:3', '-1:3', '1:2:3', 'a:b', '1.0:2', ' 1:2', '1:2\n'])
def test_no_ranges(text):
  with pytest.raises(ValueError):
    steps_of(text)


def test_the_trace_holds_the_steps_and_what_they_compute(tmp_path):
  said, x = [], jnp.ones((64, 64))
  with profile('2:3', tmp_path, said) as traced:
    for n in range(1, 6):
      x = traced.make(n, step, x / 64)
      assert len(said) == (n >= 3)
  numbers, names = traced_steps(tmp_path)
  assert numbers == [[2, 3]]
  assert any('fusion' in name for name in names)
  assert list(tmp_path.glob('profile/plugins/profile/*/*.xplane.pb'))  # where TensorBoard looks
  assert said == [f'the profile is in {tmp_path / "profile"}: look at it with tensorboard --logdir={tmp_path}']


@pytest.mark.parametrize('problem', [None, PowerCut])
def test_a_run_that_ends_among_the_steps_closes_the_trace(problem, tmp_path):
  with pytest.raises(problem) if problem else contextlib.nullcontext(), profile('2:9', tmp_path) as traced:
    for n in range(1, 4):
      traced.make(n, step, jnp.ones((8, 8)))
    if problem:
      raise problem
  assert traced_steps(tmp_path)[0] == [[2, 3]]


def test_a_run_that_resumes_traces_the_rest_or_nothing(tmp_path):
  for first, name in ((3, 'among'), (5, 'behind')):
    with profile('2:4', tmp_path / name) as traced:
      for n in range(first, 7):
        traced.make(n, step, jnp.ones((8, 8)))
  assert traced_steps(tmp_path / 'among')[0] == [[3, 4]]
  assert not (tmp_path / 'behind').exists()


@pytest.mark.slow
def test_a_run_traces_its_steps_even_if_it_is_cut(directory, tmp_path, monkeypatch, capsys):
  config = tiny_config('sync_expert', directory)
  config.update(steps=8, eval_every=8, checkpoint_every=2, profile='3:7')
  with pytest.raises(PowerCut), monkeypatch.context() as patch:
    cut_after(patch, 3)
    run(config, tmp_path)
  run(config, tmp_path)
  numbers, names = traced_steps(tmp_path / 'profile')
  # Metrics are read two steps late: the run was cut in step 5, and resumed from the save of step 2.
  assert len(numbers) == 2 and numbers[1] == [3, 4, 5, 6, 7]
  assert numbers[0][0] == 3 and set(numbers[0]) <= {3, 4, 5}
  assert any('conv' in name for name in names)
  assert 'look at it with tensorboard' in capsys.readouterr().out
