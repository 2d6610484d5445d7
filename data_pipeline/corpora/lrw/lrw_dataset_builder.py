"""The TFDS builder of LRW, words from BBC television."""

from data_pipeline.corpora.prepared import PreparedBuilder


class Builder(PreparedBuilder):
  """LRW, words from BBC television."""

  LAYOUTS = ('lrw',)
  MANUAL_DOWNLOAD_INSTRUCTIONS = """
  LRW is licensed by the BBC: apply at https://www.robots.ox.ac.uk/~vgg/data/lip_reading/lrw1.html, and unpack what you
  are given, so that SOURCE holds `lipread_mp4/`. Then

    python -m data_pipeline.preprocess --source=SOURCE --output=PREPARED --layout=lrw
    python -m data_pipeline.build data_pipeline/corpora/lrw --manual_dir=PREPARED --data_dir=DIR
  """
