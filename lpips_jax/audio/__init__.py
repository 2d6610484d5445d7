"""Speech as arrays: the one mel spectrogram, loudness, phones."""
