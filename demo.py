"""Runs the whole job as a user would: trains an expert and a generator, scores them, dubs a held-out face.

  make demo        or        python demo.py --output=runs/demo

Every step is one of the project's commands and is printed before it runs. Writes dubbed.mp4, samples.png, metrics.json
and the generator's checkpoint/ to --output. Takes about ten minutes on two CPU cores; an interrupted run is resumed.
"""

import json
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

from absl import flags

from lpips_jax.core import cli
from lpips_jax.core.files import write_whole

TEST_SEED = 1_000  # draws the speakers to test on; training draws from seed 0
REPORTED_METRICS = (
  ('expert_accuracy', 'expert accuracy, in sync or not'),
  ('lower_half_psnr', 'lower-half PSNR, dB'),
  ('lower_half_psnr_copy_reference', '  reference copied'),
  ('lower_half_psnr_other_audio', "  another speaker's speech"),
  ('lower_half_ssim', 'lower-half SSIM'),
  ('lower_half_ssim_copy_reference', '  reference copied'),
  ('mouth_correlation', 'mouth opening, correlation with the truth'),
  ('mouth_correlation_other_audio', "  another speaker's speech"),
  ('sync_confidence', 'sync confidence'),
  ('sync_confidence_other_audio', "  another speaker's speech"),
  ('sync_confidence_target', '  true frames'),
  ('seconds', 'seconds in total, without installation'),
)

flags.DEFINE_string('output', 'runs/demo', 'The directory for everything.')
flags.DEFINE_integer('seed', TEST_SEED, 'Draws the speakers to test on.')


def main() -> None:
  started = time.monotonic()
  output, seed = Path(flags.FLAGS.output), flags.FLAGS.seed
  data = f'--config.data.data_dir={output / "data"}'
  _run('train.py', '--config=configs/quickstart.py:sync_expert', f'--workdir={output / "sync_expert"}', data)
  _run(
    'train.py',
    '--config=configs/quickstart.py:generator',
    f'--workdir={output}',
    f'--config.sync_expert={output / "sync_expert" / "checkpoint"}',
    data,
  )
  _run(
    'evaluate.py',
    f'--checkpoint={output / "checkpoint"}',
    '--dataset=talking_faces/quickstart',
    f'--seed={seed}',
    '--max_clips=16',
    f'--data_dir={output / "data"}',
    f'--output={output / "evaluation"}',
  )
  _run('-m', 'data_pipeline.corpora.talking_faces.sample', f'--output={output / "sample"}', f'--seed={seed}')
  _run(
    'infer.py',
    f'--face={output / "sample" / "face.mp4"}',
    f'--audio={output / "sample" / "speech.wav"}',
    f'--output={output / "dubbed.mp4"}',
    f'--checkpoint={output / "checkpoint"}',
  )
  _report_metrics(output, time.monotonic() - started)


def _run(*arguments: str) -> None:
  print('\n$ python ' + shlex.join(arguments), flush=True)
  status = subprocess.run([sys.executable, *arguments]).returncode
  if status:
    cli.fail(f'{arguments[0]} failed with status {status}: its message is above')


def _report_metrics(output: Path, seconds: float) -> None:
  results = json.loads((output / 'evaluation' / 'metrics.json').read_text()) | {'seconds': round(seconds, 1)}
  write_whole(output / 'metrics.json', json.dumps(results, indent=2) + '\n')
  shutil.copy(output / 'evaluation' / 'samples.png', output / 'samples.png')
  print(
    f'\non {results["clips"]} clips of {results["speakers"]} speakers not seen in training (seed {results["seed"]}):'
  )
  for key, title in REPORTED_METRICS:
    print(f'  {title:46}{results[key]:10.3f}')
  for name in ('dubbed.mp4', 'samples.png', 'metrics.json', 'checkpoint'):
    print(output / name)


if __name__ == '__main__':
  cli.run(main)
