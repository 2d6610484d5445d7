"""Numbers and names that data, networks and measures must agree on. They need no other import, JAX least of all."""

FRAME_RATE = 25  # frames a second of every clip record; only dubbing sees other rates
WINDOW_FRAMES = 5  # video frames that are generated, and scored by the sync expert, together: 0.2 s

SAMPLE_RATE = 16_000  # Hz
SAMPLES_PER_FRAME = SAMPLE_RATE // FRAME_RATE  # 640

MEL_BANDS = 80
MEL_HOP = 200  # samples from one mel frame to the next
MEL_RATE = SAMPLE_RATE // MEL_HOP  # mel frames a second: 80
MEL_WINDOW = 16  # mel frames that a network hears at once: 0.2 s, as long as `WINDOW_FRAMES`
MEL_MAX = 4.0  # mel values lie in [-4, 4]; -4 is digital silence

# Networks that a generator is trained with and that stay as they are: keys of its config, and directories of the copies
# in its checkpoint. All but the silent generator are also tasks.
SYNC_EXPERT, SILENT_GENERATOR = 'sync_expert', 'silent_generator'
LIP_READER, AV_EXPERT = 'lip_reader', 'av_expert'
FROZEN = SYNC_EXPERT, SILENT_GENERATOR, LIP_READER, AV_EXPERT
