"""Numbers that data, networks and measures must agree on, where all of them can read them without loading JAX."""

FRAME_RATE = 25  # frames a second of every clip record; only dubbing sees other rates
WINDOW_FRAMES = 5  # frames that are generated, and judged by the sync expert, together: 0.2 s, as the mel window is
SAMPLES_A_FRAME = 640  # at 16 kHz
