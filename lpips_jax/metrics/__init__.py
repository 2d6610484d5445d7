"""What a dubbed face is judged by: images against the truth, and lips against speech."""

from lpips_jax.metrics.image import lower_half, psnr, ssim
from lpips_jax.metrics.sync import SyncScores, distances, sync_accuracy, sync_scores

__all__ = ['SyncScores', 'distances', 'lower_half', 'psnr', 'ssim', 'sync_accuracy', 'sync_scores']
