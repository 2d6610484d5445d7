"""Sound, video and faces: everything that touches files or pixels, and no JAX."""
