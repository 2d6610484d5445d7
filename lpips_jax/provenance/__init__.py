"""Marks of provenance: every film says that an algorithm changed it, by what, and from what.

    python -m lpips_jax.provenance FILE

`marks` makes them for `media.video_writer.write_video`, `account` reads them back. docs/provenance.md says what they
prove, and what they do not.
"""

from lpips_jax.provenance.marking import marks
from lpips_jax.provenance.signing import check
from lpips_jax.provenance.statement import Statement

__all__ = ['Statement', 'check', 'marks']
