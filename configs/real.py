"""Real faces and voices, few of them: your own videos beside the embedded corpus, on two CPU cores or a GPU.

  python -m data_pipeline.preprocess --source=VIDEOS --output=PREPARED --layout=folder
  python -m data_pipeline.build data_pipeline/corpora/folder --manual_dir=PREPARED --data_dir=runs/data
  python train.py --config=configs/real.py:sync_expert --workdir=runs/real_expert
  python train.py --config=configs/real.py:generator --workdir=runs/real \
    --config.sync_expert=runs/real_expert/checkpoint

The generator hears phones, which are the same for voices that it never heard. It is shown a mouth at rest, and moves
its pixels instead of painting them: from few faces it has to learn where lips go, not how skin looks.
"""

from ml_collections import ConfigDict

from configs import quickstart


def get_config(task: str = 'generator') -> ConfigDict:
  config = quickstart.get_config(task)
  config.model.image_size = 96
  config.data.name = 'talking_faces/quickstart:1,folder:3'
  config.data.data_dir = 'runs/data'
  config.data.augment.update(flip=0.5, colour=0.2, jpeg=0.2, crop=0.05)
  return {'sync_expert': _sync_expert, 'generator': _generator}[task](config)


def _sync_expert(config: ConfigDict) -> ConfigDict:
  config.model.image_size = 72  # its mouths are then 24 x 48
  config.model.face_widths = (8, 24, 48, 64, 96, 128, 128)
  config.model.speech = 'phones'
  config.model.view = 'mouth'
  config.model.dropout = 0.1
  config.losses.negatives = 'clip'
  config.data.name = 'talking_faces/quickstart:1,folder:7'
  config.data.batch_size = 12
  config.data.windows = 8
  config.data.eval_batches = 10
  config.data.augment.crop = 0.1
  config.data.augment.misheard = 0.1
  config.optimizer.weight_decay = 0.05
  config.losses.hardness_steps = 1_000
  config.steps = 4_000
  config.log_every = 50
  config.eval_every = 200
  config.checkpoint_every = 200
  config.average_decay = 0.99
  return config


def _generator(config: ConfigDict) -> ConfigDict:
  config.model.widths = (16, 32, 64, 128)
  config.data.augment.misheard = 0.05  # a recogniser mishears real voices often enough by itself
  config.data.batch_size = 4
  config.optimizer.learning_rate = 2e-3
  config.average_decay = 0.995
  config.losses.sync = 0.0  # from few faces no expert learns enough to teach
  config.steps = 3_000
  config.log_every = 50
  config.eval_every = 500
  config.checkpoint_every = 500
  return config
