"""How good lips are: clips whose truth is known, or ready videos, and every figure beside what gives it a meaning.

`takes` says what is judged, `systems` and `videos` make takes, `judges` scores one of them, `scoring` goes through all
and keeps what it found, `summary` sums up and `pages` shows it.
"""

from lpips_jax.evaluation.batches import embeddings, in_batches
from lpips_jax.evaluation.takes import Clip, Take

__all__ = ['Clip', 'Take', 'embeddings', 'in_batches']
