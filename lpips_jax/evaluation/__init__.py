"""Evaluation of lip sync: systems beside controls that give their figures a scale.

`candidates` defines what is scored. `systems` makes candidates of clips whose truth is known, `videos` and `pairs` make
them of files, and each of the three leads to a protocol: a list of work. `scorers` scores one candidate, `scoring` all
of them, and keeps what it found; `summary` and `leakage` average, `report` draws a page, and `protocols` does it all.
"""

from lpips_jax.evaluation.candidates import Candidate, Clip

__all__ = ['Candidate', 'Clip']
