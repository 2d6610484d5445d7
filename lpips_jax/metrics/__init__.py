"""What a dubbed face is judged by: images against the truth, and lips against speech."""

from lpips_jax.metrics.image import psnr, ssim
from lpips_jax.metrics.sync import SyncScores, distances, sync_accuracy, sync_scores
from lpips_jax.models.inputs import lower_half

__all__ = ['SyncScores', 'distances', 'lower_half', 'psnr', 'ssim', 'sync_accuracy', 'sync_scores']
