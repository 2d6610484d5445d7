"""Modules that `benchmarks.robustness.mutants` mutates, their tests, and known changes that make no difference."""

TORCH_STEPS = 'tests/benchmarks/torch_reference/test_steps.py'
# module -> its tests, quick ones first: once they fail, the others need not run
MODULES: dict[str, tuple[str, ...]] = {
  'lpips_jax/losses.py': (
    'tests/test_losses.py',
    'tests/benchmarks/torch_reference/test_losses.py',
    TORCH_STEPS,
    'tests/training/test_generator_step.py',
  ),
  'lpips_jax/training/expert_step.py': (
    'tests/training/test_expert_step.py',
    TORCH_STEPS,
    'tests/layers/test_precision.py',
    'tests/training/test_accumulation.py',
    'tests/training/test_loop.py',
  ),
  'lpips_jax/training/generator_step.py': (
    TORCH_STEPS,
    'tests/training/test_accumulation.py',
    'tests/training/test_generator_step.py',
    'tests/training/test_silent.py',
    'tests/training/test_loop.py',
  ),
  'lpips_jax/training/optimizer.py': (
    'tests/training/test_optimizer.py',
    TORCH_STEPS,
    'tests/training/test_generator_step.py',
  ),
  'lpips_jax/training/state.py': (
    TORCH_STEPS,
    'tests/training/test_state.py',
    'tests/training/test_generator_step.py',
    'tests/training/test_loop.py',
  ),
  'data_pipeline/windows.py': ('tests/data_pipeline/test_windows.py', 'tests/data_pipeline/test_input.py'),
  'data_pipeline/records.py': (
    'tests/data_pipeline/test_records.py',
    'tests/data_pipeline/test_windows.py',
    'tests/data_pipeline/test_preprocess.py',
  ),
  'lpips_jax/evaluation/systems.py': ('tests/evaluation/test_leakage.py', 'tests/evaluation/test_systems.py'),
  'lpips_jax/evaluation/scoring.py': ('tests/evaluation/test_scoring.py', 'tests/evaluation/test_protocols.py'),
  'lpips_jax/evaluation/summary.py': ('tests/evaluation/test_summary.py', 'tests/evaluation/test_scoring.py'),
  'lpips_jax/evaluation/pairs.py': ('tests/evaluation/test_pairs.py',),
  'lpips_jax/pretrained/folding.py': ('tests/pretrained/test_folding.py',),
  'lpips_jax/media/speech.py': ('tests/media/test_speech.py', 'tests/dubbing/test_speech.py'),
  'lpips_jax/audio/mel.py': ('tests/audio/test_mel.py', 'tests/audio/test_chunks.py'),
  'lpips_jax/media/orientation.py': ('tests/media/test_orientation.py', 'tests/dubbing/engine/test_pictures.py'),
}

# (source line, change as the report words it) -> why no test can notice it
EXPLAINED: dict[tuple[str, str], str] = {
  (
    'weight = jax.lax.stop_gradient(jax.nn.softmax(hardness * logits, where=negative, axis=-1))',
    'sign: `-1` became `(1)`',
  ): 'the last axis of a matrix is its axis 1',
  (
    'return Adversary(optax.apply_updates(self.params, updates), optimizer_state)',
    'arguments: `optax.apply_updates(self.params, updates)` became `(optax.apply_updates(updates, self.params))`',
  ): 'the sum is the same',
  (
    'return max(ALL, key=lambda orientation: float((np.array(matrix) * matrix_of(orientation)).sum()))',
    'call: `float((np.array(matrix) * matrix_of(orientation)).sum())` became '
    '`((np.array(matrix) * matrix_of(orientation)).sum())`',
  ): 'NumPy scalars compare like floats',
  (
    'low, high = (index.min(), index.max() + 1) if index.size else (0, 1)',
    'constant: `1` became `2`',
  ): 'without windows one row or two are read, and none is used',
  (
    'start = time_of(first) or Fraction(0)',
    'call: `Fraction(0)` became `(0)`',
  ): 'integers add like fractions',
  (
    'loud = level > np.percentile(level, LOUD_PERCENTILE) - QUIET_DB',
    'comparison: `level > np.percentile(level, LOUD_PERCENTILE) - QUIET_DB` became '
    '`(level >= np.percentile(level, LOUD_PERCENTILE) - QUIET_DB)`',
  ): 'no row is 20 dB, to the last bit, below the loud ones',
  (
    'end = np.clip(first + MEL_WINDOW + QUIET_MARGIN_STEPS, 0, len(mel))',
    'constant: `0` became `1`',
  ): 'no window ends before its twentieth row',
  ('@dataclass(frozen=True)', 'constant: `True` became `False`'): 'nothing assigns to it',
  (
    'return at_size(generated.astype(np.float32), clip.frames.shape[1])',
    'constant: `1` became `2`',
  ): 'crops are square',
  (
    'how = cv2.INTER_AREA if size < len(frames[0]) else cv2.INTER_CUBIC',
    'comparison: `size < len(frames[0])` became `(size <= len(frames[0]))`',
  ): 'frames of that size are not resized',
}
