"""Audio-driven lip synchronisation in JAX: the reference implementation of LPIPS-AttnWav2Lip."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
  from lpips_jax.pretrained import Exported, Pretrained


def load(checkpoint: str, trust_stablehlo: bool = False) -> 'Pretrained | Exported':
  """Loads a trained network as a jitted callable; see `lpips_jax.pretrained.load`."""
  from lpips_jax import pretrained  # here, so that commands check their input before they wait for JAX

  return pretrained.load(checkpoint, trust_stablehlo)


__all__ = ['load']
