"""The TFDS builder of LRS2, sentences from BBC television."""

from data_pipeline.corpora.prepared import PreparedBuilder


class Builder(PreparedBuilder):
  """LRS2, sentences from BBC television."""

  LAYOUTS = ('lrs2', 'wav2lip')
  MANUAL_DOWNLOAD_INSTRUCTIONS = """
  LRS2 is licensed by the BBC: apply at https://www.robots.ox.ac.uk/~vgg/data/lip_reading/lrs2.html, and unpack what you
  are given, so that SOURCE holds `mvlrs_v1/` and the lists `train.txt`, `val.txt`, `test.txt` and `pretrain.txt`. Then

    python -m data_pipeline.preprocess --source=SOURCE --output=PREPARED --layout=lrs2
    python -m data_pipeline.build data_pipeline/corpora/lrs2 --manual_dir=PREPARED --data_dir=DIR

  A directory that was prepared for Wav2Lip serves as SOURCE, too, with `--layout=wav2lip`.
  """
