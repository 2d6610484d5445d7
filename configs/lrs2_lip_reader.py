"""A lip reader on LRS2: characters of its transcripts by CTC, for `config.losses.reading` and to judge generated lips.

  python train.py --config=configs/lrs2_lip_reader.py --workdir=runs/lrs2_lip_reader --config.data.data_dir=DIR

Two readers are wanted, of two seeds: one to teach a generator, the other to judge it (TalkLip, arXiv 2303.17480).
Corpora without transcripts are read in `--config.data.alphabet=visemes --config.model.alphabet=visemes`, of the phones
that a recogniser hears.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
  config = ConfigDict()
  config.task = 'lip_reader'
  config.seed = 0
  config.init_from = ''  # a checkpoint directory to start from: its weights and statistics are taken by name

  _set_network(config)
  config.losses = ConfigDict()
  config.losses.ctc = 1.0  # -log p of what is said, per label
  config.losses.frames = 0.0  # cross-entropy of the label of each frame, of sounds and visemes, whose times are known
  _set_data(config)
  _set_training(config)
  return config


def _set_network(config: ConfigDict) -> None:
  config.model = ConfigDict()
  config.model.name = 'lip_reader'
  config.model.image_size = 96  # side of the crops
  config.model.mouth_size = 88  # side of the mouths that are cut out of them
  config.model.alphabet = 'characters'  # as data.alphabet
  config.model.stem_width = 64
  config.model.stem_kernel = 7
  config.model.lip_widths = (64, 128, 256, 512)  # ResNet-18
  config.model.lip_depths = (2, 2, 2, 2)
  config.model.width = 768
  config.model.layers = 12
  config.model.heads = 12
  config.model.hidden = 3072
  config.model.position_kernel = 128  # frames
  config.model.position_groups = 16
  config.model.dropout = 0.1
  config.model.dtype = 'float32'  # of activations; 'bfloat16' suits TPUs and newer GPUs


def _set_data(config: ConfigDict) -> None:
  config.data = ConfigDict()
  config.data.name = 'lrs2'
  config.data.data_dir = '~/tensorflow_datasets'
  config.data.level = 'normalised'  # speech is brought to one level, in training and in use
  config.data.split = 'train'
  config.data.eval_split = 'val'
  config.data.batch_size = 32  # clips, over all devices
  config.data.clip_frames = 155  # 6.2 s, the longest of LRS2's main set; characters cannot be cut
  config.data.max_labels = 128
  config.data.alphabet = 'characters'  # or 'visemes'; 'sounds' of talking_faces
  config.data.eval_batches = 16
  config.data.workers = 8  # processes that decode; 0 for none
  config.data.own_shards = False  # each training process reads, and copies from a bucket, files of its own
  config.data.in_place = False  # of a bucket gs://: records are read there, and no file is copied first
  # Of pictures: data_pipeline/image_augment.py.
  config.data.augment = ConfigDict({'flip': 0.5, 'colour': 0.2, 'jpeg': 0.0, 'crop': 0.1})


def _set_training(config: ConfigDict) -> None:
  config.optimizer = ConfigDict()
  config.optimizer.learning_rate = 3e-4  # for a batch of this size:
  config.optimizer.batch_size = 32
  config.optimizer.scaling = 'none'  # or 'linear' or 'sqrt': how the rate grows with data.batch_size
  config.optimizer.b1 = 0.9
  config.optimizer.b2 = 0.98
  config.optimizer.weight_decay = 1e-2
  config.optimizer.warmup_steps = 5_000
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
  config.keep_best = 1  # and those with the least evaluated error
  config.writers = 'jsonl,tensorboard'  # where the log goes; and 'wandb', 'mlflow'
  config.profile = ''  # 'FIRST:LAST': steps that JAX's profiler traces
