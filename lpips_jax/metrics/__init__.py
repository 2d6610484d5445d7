"""Measures of a dubbed face: images against the truth, and lips against speech."""

from lpips_jax.metrics.image import psnr, ssim
from lpips_jax.metrics.sync import SyncScores, distances, sync_accuracy, sync_scores

__all__ = ['SyncScores', 'distances', 'psnr', 'ssim', 'sync_accuracy', 'sync_scores']
