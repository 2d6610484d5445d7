"""Speech as arrays: the one mel spectrogram, loudness, phones, and sound in chunks. Files are `lpips_jax.media`'s."""

from lpips_jax.audio.mel import mel_windows, melspectrogram

__all__ = ['mel_windows', 'melspectrogram']
