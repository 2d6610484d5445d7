"""Training data: raw videos become clip records, and clip records become batches.

A video goes through four stages:

1. `preparation` (the command `preprocess`) finds faces, follows them and cuts the video into clips of one speaker in
   one shot, at 25 frames a second and 16 kHz. `corpora` (the command `build`) stores them as a TFDS dataset, or draws
   the embedded corpus `talking_faces`.
2. `records` defines the clip record: JPEG-coded crops, speech, its mel spectrogram, its phones and the face boxes.
3. `windows` cuts training examples out of a record. `window_frames` and `window_speech` cut **the sync window**, five
   frames and their 0.2 s of speech, whose lengths are in `lpips_jax.core.constants`.
4. `input` shuffles the records, mixes corpora (`mixtures`), and turns examples into batches (`batches`), the same ones
   for any number of worker processes (`workers`) and training processes.

Beside them: `image_augment` and `audio_augment` vary examples, `misaligned` shifts sound on purpose for experiments,
`inspection` (the command `inspect`) summarises a corpus, `evaluation_split` reads a split to be scored, and
`personal_corpus` prepares the videos of one person.
"""
