"""The whole method at a small size on the embedded corpus: what `make demo` trains on two CPU cores.

  python train.py --config=configs/quickstart.py:sync_expert --workdir=runs/quickstart/sync_expert
  python train.py --config=configs/quickstart.py:generator --workdir=runs/quickstart/generator \
    --config.sync_expert=runs/quickstart/sync_expert/checkpoint

With `:silent` the generator becomes one that shuts mouths, for `--config.silent_generator`, as in configs/silent.py.

CBAM, alignment, the perceptual and the sync loss are all on; the perceptual network is a narrow VGG with random
weights, so that nothing needs downloading, which is not LPIPS.
"""

from ml_collections import ConfigDict

from configs import silent


def get_config(task: str = 'generator') -> ConfigDict:
  config = ConfigDict()
  config.task = 'generator' if task == 'silent' else task
  config.seed = 0
  config.init_from = ''  # a checkpoint directory, whose weights and statistics are taken by name

  config.model = ConfigDict()
  config.model.image_size = 64
  config.model.audio_widths = (16, 32, 64, 96, 128)
  config.model.audio_residuals = (1, 1, 1, 1)
  config.model.dtype = 'float32'

  config.losses = ConfigDict()

  config.data = ConfigDict()
  config.data.name = 'talking_faces/quickstart'
  config.data.data_dir = 'runs/data'
  config.data.level = 'normalised'
  config.data.split = 'train'
  config.data.eval_split = 'val'
  config.data.workers = 0
  config.data.augment = ConfigDict(
    {'flip': 0.0, 'colour': 0.0, 'jpeg': 0.0, 'crop': 0.0}
  )  # data_pipeline/image_augment.py

  config.optimizer = ConfigDict()
  config.optimizer.learning_rate = 1e-3
  config.optimizer.batch_size = 64
  config.optimizer.scaling = 'none'
  config.optimizer.b1 = 0.9
  config.optimizer.b2 = 0.999
  config.optimizer.weight_decay = 1e-4
  config.optimizer.cosine = True
  config.optimizer.clip_norm = 1.0

  config.accumulate = 1
  config.remat = False
  config.keep = 1
  config.keep_best = 1
  tasks = {'sync_expert': _sync_expert, 'generator': _generator, 'silent': _silent}
  if task not in tasks:
    raise ValueError(f'quickstart.py:{task} is none of {", ".join(tasks)}')
  return tasks[task](config)


def _sync_expert(config: ConfigDict) -> ConfigDict:
  config.model.name = 'sync_expert'
  config.model.stem_kernel = 3  # 7, the paper's, takes a CPU three times as long
  config.model.face_widths = (16, 32, 48, 64, 96, 128, 128)
  config.model.face_residuals = (1, 1, 1, 1, 0)
  config.model.contrastive = True
  config.model.speech = 'mel'
  config.model.view = 'lower_half'
  config.model.dropout = 0.0

  config.losses.contrastive = 1.0
  config.losses.negatives = 'batch'
  config.losses.bce = 1.0
  config.losses.hardness = 1.0
  config.losses.hardness_steps = 120
  config.losses.trust = 1.0
  config.minimum_offset = 3
  config.diagnosis_clips = 16

  config.data.batch_size = 8
  config.data.windows = 8
  config.data.shifted = 0.0
  config.data.augment.voice = 0.0  # heard by experts of model.speech='mel' alone
  config.data.augment.misheard = 0.0  # and this by those of 'phones'
  config.data.eval_batches = 4
  config.optimizer.warmup_steps = 30
  config.average_decay = 0.98

  config.steps = 120
  config.log_every = 10
  config.eval_every = 60
  config.checkpoint_every = 60
  return config


def _generator(config: ConfigDict) -> ConfigDict:
  config.sync_expert = ''
  config.silent_generator = ''
  config.audio_encoder_from_expert = False
  config.model.name = 'attn_wav2lip'
  config.model.widths = (16, 16, 48, 96)
  config.model.stem_kernel = 3
  config.model.blocks = 1
  config.model.bottleneck = 1
  config.model.attention = True
  config.model.fusion = 'adain'
  config.model.speech = 'phones'  # procedural voices teach nothing of real ones, phones are the same
  config.model.output = 'warp'  # the run is too short to learn to paint a face, and this one is as sharp as filmed

  config.discriminator = ConfigDict()  # used when losses.adversarial is not 0
  config.discriminator.name = 'discriminator'
  config.discriminator.image_size = 64
  config.discriminator.widths = (8, 16, 32, 48, 64, 64, 64)

  config.perceptual = ConfigDict()
  config.perceptual.source = 'random'
  config.perceptual.width = 1 / 16
  config.perceptual.seed = 0

  config.losses.reconstruction = 1.0
  config.losses.lower_half = 15.0  # with L1 alone a mouth is a few pixels among many, and learnt late
  config.losses.perceptual = 0.05
  config.losses.sync = 0.001  # more wins the expert over at the cost of the picture
  config.losses.sync_kind = 'log'
  config.losses.sync_gate = 3.0  # open from the first evaluation on: the run is short
  config.losses.triplet = 0.0
  config.losses.adversarial = 0.0
  config.losses.adversarial_kind = 'bce'
  config.losses.adversarial_start = 0
  config.losses.r1 = 0.0
  config.losses.warmup_steps = ConfigDict({'perceptual': 0, 'sync': 0, 'adversarial': 0})

  config.data.batch_size = 2
  config.data.windows = 1
  config.data.lead = 2.0
  config.data.reference = 'rest'
  config.data.augment.silence = 0.05
  config.data.augment.misheard = 0.1
  config.data.augment.voice = 0.0  # heard by generators of model.speech='mel' alone
  # Drawn faces sit in their crops alike. Of those that do not, a generator learns to look for the mouth.
  config.data.augment.update(flip=0.5, colour=0.2, crop=0.15)
  config.data.eval_batches = 8
  config.optimizer.learning_rate = 3e-3
  config.optimizer.b2 = 0.99
  config.optimizer.warmup_steps = 50
  config.average_decay = 0.99

  config.steps = 1_750
  config.log_every = 25
  config.eval_every = 600
  config.checkpoint_every = 600
  return config


def _silent(config: ConfigDict) -> ConfigDict:
  return silent.shutting(_generator(config))
