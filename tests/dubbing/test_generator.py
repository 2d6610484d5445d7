"""A generator that dubs in batches, and what it leaves behind when nothing needs it any more."""

import gc
import threading
import weakref

from lpips_jax import pretrained
from lpips_jax.dubbing import generator as generator_module


def test_a_generator_that_nobody_needs_leaves_no_threads(trained_checkpoint):
  before = set(threading.enumerate())
  made = generator_module.BatchedGenerator(pretrained.load(trained_checkpoint), 2, 'float32')
  of_its_own = [x for x in threading.enumerate() if x not in before and x.name.startswith('generator')]
  assert of_its_own
  made = weakref.ref(made)
  gc.collect()
  assert made() is None
  for thread in of_its_own:
    thread.join(timeout=5)
  assert not any(thread.is_alive() for thread in of_its_own)
