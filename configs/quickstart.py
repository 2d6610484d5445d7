"""The whole method at a small size on the embedded corpus: what `make demo` trains on two CPU cores.

  python train.py --config=configs/quickstart.py:sync_expert --workdir=runs/quickstart/sync_expert
  python train.py --config=configs/quickstart.py:generator --workdir=runs/quickstart/generator \
    --config.sync_expert=runs/quickstart/sync_expert/checkpoint
  python train.py --config=configs/quickstart.py:lip_reader --workdir=runs/quickstart/lip_reader
  python train.py --config=configs/quickstart.py:av_expert --workdir=runs/quickstart/av_expert

These are configs/lrs2_sync_expert.py, configs/lrs2.py and configs/lrs2_lip_reader.py with the changes below; `:silent`
trains a generator that shuts mouths, for `--config.silent_generator`, as configs/silent.py does, `:memory` one with
the memory of configs/sync_talk_face.py, `:visemes` one that visemes drive, as configs/text2lip.py does, and
`:global_speech` one that hears a second at once, by the encoder of configs/talk_lip.py.

CBAM, alignment, the perceptual and the sync loss are all on; the perceptual network is a narrow VGG with random
weights, so that nothing needs downloading, which is not LPIPS.
"""

from ml_collections import ConfigDict

from configs import av_hubert, lrs2, lrs2_lip_reader, lrs2_sync_expert, silent, sync_talk_face, talk_lip, text2lip


def get_config(task: str = 'generator') -> ConfigDict:
  tasks = {
    'sync_expert': _sync_expert,
    'generator': _generator,
    'silent': _silent,
    'memory': _memory,
    'visemes': _visemes,
    'global_speech': _global_speech,
    'lip_reader': _lip_reader,
    'av_expert': _av_expert,
    'reading': _reading,
    'av_sync': _av_sync,
  }
  if task not in tasks:
    raise ValueError(f'quickstart.py:{task} is none of {", ".join(tasks)}')
  return tasks[task]()


def _small(config: ConfigDict) -> ConfigDict:
  """Changes what generator and expert have in common."""
  config.model.stem_kernel = 3  # 7, the paper's, takes a CPU three times as long
  config.model.audio_widths = (16, 32, 64, 96, 128)
  config.model.audio_residuals = (1, 1, 1, 1)
  return _brief(config)


def _brief(config: ConfigDict) -> ConfigDict:
  """Changes what all runs have in common."""
  config.model.image_size = 64
  config.data.name = 'talking_faces/quickstart'
  config.data.data_dir = 'runs/data'
  config.data.workers = 0
  config.optimizer.weight_decay = 1e-4
  config.optimizer.cosine = True
  config.keep = 1
  return config


def _sync_expert() -> ConfigDict:
  config = _small(lrs2_sync_expert.get_config())
  config.model.face_widths = (16, 32, 48, 64, 96, 128, 128)
  config.model.face_residuals = (1, 1, 1, 1, 0)
  config.losses.hardness_steps = 120
  config.diagnosis_clips = 16

  config.data.batch_size = 8
  config.data.windows = 8
  config.data.eval_batches = 4
  config.optimizer.learning_rate = 1e-3
  config.optimizer.warmup_steps = 30
  config.average_decay = 0.98

  config.steps = 120
  config.log_every = 10
  config.eval_every = 60
  config.checkpoint_every = 60
  return config


def _generator() -> ConfigDict:
  config = _small(lrs2.get_config())
  config.model.widths = (16, 16, 48, 96)
  config.model.blocks = 1
  config.model.bottleneck = 1
  config.model.speech = 'phones'  # procedural voices teach nothing of real ones, phones are the same
  config.model.output = 'warp'  # the run is too short to learn to paint a face, and this one is as sharp as filmed
  config.discriminator.image_size = 64
  config.discriminator.widths = (8, 16, 32, 48, 64, 64, 64)
  config.perceptual.source = 'random'
  config.perceptual.width = 1 / 16

  config.losses.lower_half = 15.0  # with L1 alone a mouth is a few pixels among many, and learnt late
  config.losses.perceptual = 0.05
  config.losses.sync = 0.001  # more wins the expert over at the cost of the picture
  config.losses.sync_gate = 3.0  # open from the first evaluation on: the run is short

  config.data.batch_size = 2
  config.data.windows = 1
  config.data.augment.misheard = 0.1
  # Drawn faces all sit alike in their crops. From faces that do not, a generator learns to look for the mouth.
  config.data.augment.update(flip=0.5, colour=0.2, crop=0.15)
  config.optimizer.learning_rate = 3e-3
  config.optimizer.b2 = 0.99
  config.optimizer.warmup_steps = 50
  config.average_decay = 0.99

  config.steps = 1_750
  config.log_every = 25
  config.eval_every = 600
  config.checkpoint_every = 600
  return config


def _silent() -> ConfigDict:
  return silent.shutting(_generator())


def _memory() -> ConfigDict:
  config = sync_talk_face.remembering(_generator(), slots=64)
  config.losses.align = 0.01  # as large as the losses of the images, which are small at this size
  return config


def _visemes() -> ConfigDict:
  config = text2lip.driven_by_visemes(_generator())
  config.model.landmarks = 5
  config.losses.landmarks = 0.1
  return config


def _global_speech() -> ConfigDict:
  config = _generator()
  config.model.speech_window = 80  # a second
  return config


def _reading() -> ConfigDict:
  return talk_lip.read_by_a_reader(_generator(), 'visemes', 0.02)


def _av_expert() -> ConfigDict:
  config = _brief(av_hubert.get_config())
  config.model.mouth_size = 44
  config.model.stem_width = 16
  config.model.stem_kernel = 5
  config.model.lip_widths = (16, 32, 64, 96)
  config.model.lip_depths = (1, 1, 1, 1)
  config.model.width = 96
  config.model.layers = 2
  config.model.heads = 4
  config.model.hidden = 384
  config.model.position_kernel = 31
  config.model.position_groups = 1  # on CPUs groups cost more than they save
  config.model.clusters = 64
  config.data.batch_size = 8
  config.data.clip_frames = 75
  config.data.max_labels = 40
  config.data.eval_batches = 2
  config.data.augment.update(colour=0.2, crop=0.1)
  config.optimizer.learning_rate = 2e-3
  config.optimizer.weight_decay = 1e-2
  config.optimizer.warmup_steps = 40
  config.average_decay = 0.98

  config.steps = 200
  config.log_every = 25
  config.eval_every = 100
  config.checkpoint_every = 100
  return config


def _av_sync() -> ConfigDict:
  config = _generator()
  config.losses.av_sync = 3e-3
  return config


def _lip_reader() -> ConfigDict:
  config = _brief(lrs2_lip_reader.get_config())
  config.model.mouth_size = 44
  config.model.alphabet = config.data.alphabet = 'visemes'  # what can be seen; no eye tells p from b
  config.model.stem_width = 16
  config.model.stem_kernel = 5
  config.model.lip_widths = (32, 64, 96)
  config.model.lip_depths = (1, 1, 1)
  config.model.width = 128
  config.model.layers = 2
  config.model.heads = 4
  config.model.hidden = 512
  config.model.position_kernel = 15
  config.model.position_groups = 8
  config.model.dropout = 0.05
  config.losses.frames = 1.0  # times are known here, and teach far sooner than CTC, which has to find them
  config.data.name = 'talking_faces/crowd'  # of few people it learns the sentences by heart
  config.data.batch_size = 4
  config.data.clip_frames = 75
  config.data.max_labels = 40
  config.data.eval_batches = 4
  config.data.augment.update(colour=0.1, crop=0.05)
  config.optimizer.learning_rate = 2e-3
  config.optimizer.b2 = 0.99
  config.optimizer.weight_decay = 1e-2
  config.optimizer.warmup_steps = 50
  config.average_decay = 0.99

  config.steps = 1_600
  config.log_every = 25
  config.eval_every = 400
  config.checkpoint_every = 400
  return config
