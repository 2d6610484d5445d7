"""How good lips are: clips whose truth is known, or ready videos, and every figure beside what gives it a meaning.

`candidates` says what is judged, `systems` and `videos` make takes, `scorers` scores one of them, `scoring` goes through all
and keeps what it found, `summary` sums up and `pages` shows it.
"""

from lpips_jax.evaluation.candidates import Candidate, Clip
from lpips_jax.pretrained.batches import embeddings, in_batches

__all__ = ['Candidate', 'Clip', 'embeddings', 'in_batches']
