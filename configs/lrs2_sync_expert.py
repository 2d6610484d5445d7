"""The sync expert on LRS2, at Wav2Lip's full width, trained so that its loss leaves ln 2, the loss of guessing.

  python train.py --config=configs/lrs2_sync_expert.py --workdir=runs/lrs2_sync_expert --config.data.data_dir=DIR

The classic recipe (cosine similarity and binary cross-entropy, Adam 1e-4) is
`--config.model.contrastive=False --config.losses.contrastive=0.0 --config.optimizer.learning_rate=1e-4
--config.optimizer.weight_decay=0.0 --config.optimizer.cosine=False`.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
  config = ConfigDict()
  config.task = 'sync_expert'
  config.seed = 0
  config.init_from = ''  # a checkpoint directory to start from: its weights and statistics are taken by name

  _set_network(config)
  _set_losses(config)
  _set_data(config)
  _set_training(config)
  return config


def _set_network(config: ConfigDict) -> None:
  config.model = ConfigDict()
  config.model.name = 'sync_expert'
  config.model.image_size = 96  # side of the crops; the expert sees the lower half
  config.model.stem_kernel = 7
  config.model.face_widths = (32, 64, 128, 256, 512, 512, 512)
  config.model.face_residuals = (2, 3, 2, 2, 0)
  config.model.audio_widths = (32, 64, 128, 256, 512)
  config.model.audio_residuals = (2, 2, 2, 2)
  config.model.contrastive = True
  config.model.speech = 'mel'  # or 'phones', which are alike for all voices
  config.model.view = 'lower_half'  # or 'mouth'
  config.model.dropout = 0.0
  config.model.dtype = 'float32'  # of activations; 'bfloat16' suits TPUs and newer GPUs


def _set_losses(config: ConfigDict) -> None:
  config.losses = ConfigDict()
  config.losses.contrastive = 1.0
  config.losses.negatives = 'batch'  # or 'clip': no windows of other clips, which voices give away
  config.losses.bce = 1.0
  config.losses.hardness = 1.0  # extra weight, in the end, of negatives in the BCE that pass for in sync
  config.losses.hardness_steps = 10_000  # over which that grows from 0
  config.losses.trust = 1.0  # how much less clips count that seem out of sync; 0: no less
  config.minimum_offset = 3  # video frames between windows that count as off sync
  config.diagnosis_clips = 64  # whose offsets each evaluation estimates


def _set_data(config: ConfigDict) -> None:
  config.data = ConfigDict()
  config.data.name = 'lrs2'
  config.data.data_dir = '~/tensorflow_datasets'
  config.data.level = 'normalised'  # speech is brought to one level, in training and in use
  config.data.split = 'train'
  config.data.eval_split = 'val'
  config.data.batch_size = 64  # clips, over all devices
  config.data.windows = 4  # per clip
  config.data.eval_batches = 16
  config.data.workers = 8  # processes that decode; 0 for none
  config.data.own_shards = False  # each training process reads, and copies from a bucket, files of its own
  config.data.in_place = False  # of a bucket gs://: records are read there, and no file is copied first
  config.data.shifted = 0.0  # share of training clips with shifted sound: data_pipeline/misaligned.py
  # Of pictures: data_pipeline/image_augment.py.
  config.data.augment = ConfigDict({'flip': 0.0, 'colour': 0.0, 'jpeg': 0.0, 'crop': 0.0})
  config.data.augment.voice = 0.0  # change of voices, for model.speech = 'mel': data_pipeline/audio_augment.py
  config.data.augment.misheard = 0.0  # share of phones replaced by others, for 'phones'


def _set_training(config: ConfigDict) -> None:
  config.optimizer = ConfigDict()
  config.optimizer.learning_rate = 3e-4  # for a batch of this size:
  config.optimizer.batch_size = 64
  config.optimizer.scaling = 'none'  # or 'linear' or 'sqrt': how the rate grows with data.batch_size
  config.optimizer.b1 = 0.9
  config.optimizer.b2 = 0.999
  config.optimizer.weight_decay = 1e-4
  config.optimizer.warmup_steps = 1_000
  config.optimizer.cosine = True
  config.optimizer.clip_norm = 1.0
  config.average_decay = 0.999
  config.accumulate = 1  # micro-batches per batch, to save memory
  config.remat = False  # recompute cheap activations instead of storing them, to save memory

  config.steps = 200_000
  config.log_every = 100
  config.eval_every = 2_000
  config.checkpoint_every = 2_000
  config.keep = 3  # the last checkpoints
  config.keep_best = 1  # and those with the best evaluated ranking
  config.writers = 'jsonl,tensorboard'  # where the log goes; and 'wandb', 'mlflow'
  config.profile = ''  # 'FIRST:LAST': steps that JAX's profiler traces
