"""LPIPS-AttnWav2Lip on LRS2: L1, LPIPS and a frozen sync expert, no adversary; the paper's setting.

  python train.py --config=configs/lrs2.py --workdir=runs/lrs2 --config.data.data_dir=DIR \
    --config.sync_expert=runs/lrs2_sync_expert/checkpoint

With an adversary: configs/lrs2_gan.py. Ablations and the Wav2Lip baseline: configs/ablations.py.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
  config = ConfigDict()
  config.task = 'generator'
  config.seed = 0
  config.sync_expert = ''  # the checkpoint directory of a trained expert; copied into this run's
  config.init_from = ''  # a checkpoint directory to start from: its weights and statistics are taken by name
  config.lip_reader = ''  # checkpoint directory of a configs/lrs2_lip_reader.py run, for losses.reading
  config.av_expert = ''  # checkpoint directory of an audio-visual expert, for losses.av_sync
  config.silent_generator = ''  # checkpoint directory of a configs/silent.py run, which shuts the mouths of references
  config.audio_encoder_from_expert = False  # start with its speech encoder; needs the same audio_* values

  _set_networks(config)
  _set_losses(config)
  _set_data(config)
  _set_training(config)
  return config


def _set_networks(config: ConfigDict) -> None:
  config.model = ConfigDict()
  config.model.name = 'attn_wav2lip'
  config.model.image_size = 96
  config.model.widths = (32, 64, 128, 256, 512)
  config.model.stem_kernel = 7
  config.model.blocks = 2
  config.model.bottleneck = 2
  config.model.audio_widths = (32, 64, 128, 256, 512)
  config.model.audio_residuals = (2, 2, 2, 1)
  config.model.attention = True
  config.model.fusion = 'adain'
  config.model.speech_window = 16  # steps of 12.5 ms heard at once; more than 16 make TalkLip's global encoder
  config.model.speech = 'mel'  # or 'phones' or 'visemes', from a recogniser: see lpips_jax/audio/condition.py
  config.model.taught_by_sound = False  # for visemes, which replace sound step by step: configs/text2lip.py
  config.model.paint_bias = -3.0  # of 'warp': log-odds of a pixel being painted at first; -1 opens mouths sooner
  config.model.output = 'image'  # or 'change' or 'warp': see lpips_jax/models/generator.py
  config.model.landmarks = 0  # numbers of the mouth's shape that losses.landmarks compares; of talking_faces 5
  config.model.contrast = 0  # width of the lip reader whose features losses.frame_contrast compares with
  config.model.memory_slots = 0  # of an audio-lip memory: see configs/sync_talk_face.py
  config.model.dtype = 'float32'  # of activations; 'bfloat16' suits TPUs and newer GPUs

  config.discriminator = ConfigDict()  # Wav2Lip's; used when losses.adversarial is not 0
  config.discriminator.name = 'discriminator'
  config.discriminator.image_size = 96  # crops are resized to it; at 192 it sees more, and is larger
  config.discriminator.widths = (32, 64, 128, 256, 512, 512, 512)

  config.perceptual = ConfigDict()
  config.perceptual.source = 'pretrained'  # or a directory with the weight files
  config.perceptual.width = 1.0
  config.perceptual.seed = 0


def _set_losses(config: ConfigDict) -> None:
  config.losses = ConfigDict()
  config.losses.reconstruction = 1.0
  config.losses.lower_half = 0.0  # coefficient of the lower half's squared error; the paper has none
  config.losses.perceptual = 1.0
  config.losses.sync = 0.03
  config.losses.sync_kind = 'log'  # or 'stabilised': as much in sync as the true mouth, and no more
  config.losses.sync_gate = 0.75  # the sync loss counts once the evaluated -log p falls below this, whatever the kind
  config.losses.reading = 0.0  # coefficient of a lip reader's CTC, per label, of windows in their clips (TalkLip)
  config.losses.reading_gate = 3.0  # so, too: evaluated CTC per label
  config.losses.av_sync = 0.0  # coefficient of -log cos of an audio-visual expert's features, of windows in their clips
  config.losses.av_sync_kind = 'audio'  # or 'visual' or 'joint': what the generated lips are compared with
  config.losses.av_sync_gate = 10.0  # more than it can be: it counts from the first evaluation on
  config.losses.frame_contrast = 0.0  # coefficient of speech codes going with the lips of their own frame (TalkLip)
  config.losses.visual_sync = 0.0  # coefficient of the L1 between the expert's features of generated and true lips
  config.losses.store = 0.0  # coefficients of what a memory stores, and of how alike lips and speech address it
  config.losses.align = 0.0
  config.losses.landmarks = 0.0  # coefficient of the mouth's shape told from speech, of corpora that know it (Text2Lip)
  config.losses.pseudo_audio = 0.0  # coefficient of codes of visemes being those of sound
  config.losses.triplet = 0.0  # coefficient of mouths being nearer to the true ones than to the reference's
  config.losses.adversarial = 0.0
  config.losses.adversarial_kind = 'bce'  # or 'hinge'
  config.losses.adversarial_start = 0  # the step from which it counts; the discriminator trains before
  config.losses.r1 = 0.0  # penalty on the discriminator's slope at filmed frames; 0 for none
  config.losses.warmup_steps = ConfigDict({'perceptual': 0, 'sync': 0, 'adversarial': 0})  # coefficients rise from 0


def _set_data(config: ConfigDict) -> None:
  config.data = ConfigDict()
  config.data.name = 'lrs2'
  config.data.data_dir = '~/tensorflow_datasets'
  config.data.level = 'normalised'  # speech is brought to one level, in training and in use
  config.data.split = 'train'
  config.data.eval_split = 'val'
  config.data.batch_size = 64  # windows of five frames, over all devices
  config.data.windows = 2  # per clip that is read: reading one costs nearly as much as decoding a window
  config.data.clip_frames = 75  # of the clips in which losses.reading and .av_sync look at windows
  config.data.max_labels = 64  # of what is said in a clip
  config.data.alphabet = 'visemes'  # as the lip reader's
  config.data.lead = 2.0  # frames by which a speech window starts before its frame: it is centred on it
  config.data.eval_batches = 8
  config.data.workers = 8  # processes that decode; 0 for none
  config.data.own_shards = False  # each training process reads, and copies from a bucket, files of its own
  config.data.in_place = False  # of a bucket gs://: records are read there, and no file is copied first
  # Of pictures: data_pipeline/image_augment.py.
  config.data.augment = ConfigDict({'flip': 0.0, 'colour': 0.0, 'jpeg': 0.0, 'crop': 0.0})
  config.data.reference = 'rest'  # a mouth nearly shut, in the pose of the target; or another window, 'elsewhere'
  config.data.augment.misheard = 0.0  # share of phones replaced by others, for model.speech = 'phones'
  config.data.augment.voice = 0.0  # change of voices, for 'mel': data_pipeline/audio_augment.py
  config.data.augment.silence = 0.05  # share of targets without speech, with their mouths shut


def _set_training(config: ConfigDict) -> None:
  config.optimizer = ConfigDict()
  config.optimizer.learning_rate = 1e-4  # for a batch of this size:
  config.optimizer.batch_size = 64
  config.optimizer.scaling = 'none'  # or 'linear' or 'sqrt': how the rate grows with data.batch_size
  config.optimizer.b1 = 0.9
  config.optimizer.b2 = 0.999
  config.optimizer.weight_decay = 0.0
  config.optimizer.warmup_steps = 1_000
  config.optimizer.cosine = False
  config.optimizer.clip_norm = 1.0
  config.average_decay = 0.999
  config.accumulate = 1  # micro-batches per batch, to save memory
  config.remat = False  # recompute cheap activations instead of storing them, to save memory

  config.steps = 300_000
  config.log_every = 100
  config.eval_every = 3_000
  config.checkpoint_every = 3_000
  config.keep = 3  # the last checkpoints
  config.keep_best = 1  # and those with the least evaluated loss
  config.writers = 'jsonl,tensorboard'  # where the log goes; and 'wandb', 'mlflow'
  config.profile = ''  # 'FIRST:LAST': steps that JAX's profiler traces
