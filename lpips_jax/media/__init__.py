"""Files to arrays and back: containers, frames, sound tracks and pictures, through FFmpeg and without JAX."""
