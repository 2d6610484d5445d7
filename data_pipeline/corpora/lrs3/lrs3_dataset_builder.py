"""The TFDS builder of LRS3, sentences from TED talks."""

from data_pipeline.corpora.prepared import PreparedBuilder


class Builder(PreparedBuilder):
  """LRS3, sentences from TED talks."""

  LAYOUTS = ('lrs3',)
  MANUAL_DOWNLOAD_INSTRUCTIONS = """
  LRS3 comes from https://mmai.io/datasets/lip_reading/: unpack it, so that SOURCE holds `pretrain/`, `trainval/` and
  `test/`. Then

    python -m data_pipeline.preprocess --source=SOURCE --output=PREPARED --layout=lrs3
    python -m data_pipeline.build data_pipeline/corpora/lrs3 --manual_dir=PREPARED --data_dir=DIR
  """
