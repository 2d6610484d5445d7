"""The TFDS builder of your own videos."""

from data_pipeline.corpora.prepared import PreparedBuilder


class Builder(PreparedBuilder):
  """Your own videos."""

  LAYOUTS = ('folder', 'wav2lip')
  MANUAL_DOWNLOAD_INSTRUCTIONS = """
  Put your videos in a directory SOURCE, those of a person in a directory of their own within. Then

    python -m data_pipeline.preprocess --source=SOURCE --output=PREPARED --layout=folder
    python -m data_pipeline.build data_pipeline/corpora/folder --manual_dir=PREPARED --data_dir=DIR
  """
