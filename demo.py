"""The whole job, as a user would do it: trains an expert and a generator, scores them, dubs a held-out face.

  make demo        or        python demo.py --output=runs/demo

Every step is one of the project's commands and is printed before it runs. Leaves dubbed.mp4, samples.png, metrics.json
and the generator's checkpoint/ in --output. Takes some ten minutes on two CPU cores; a run cut short goes on where
it stopped.
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

SEED = 1_000  # of the speakers to test on; training draws from seed 0
TABLE = (
  ('expert_accuracy', 'expert tells in-sync from off-sync'),
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
  ('seconds', 'seconds in all, installation apart'),
)

flags.DEFINE_string('output', 'runs/demo', 'Where everything goes.')
flags.DEFINE_integer('seed', SEED, 'Of the speakers to test on.')


def main() -> None:
  started = time.monotonic()
  output, seed = Path(flags.FLAGS.output), flags.FLAGS.seed
  data = f'--config.data.data_dir={output / "data"}'
  _command('train.py', '--config=configs/quickstart.py:sync_expert', f'--workdir={output / "sync_expert"}', data)
  _command(
    'train.py',
    '--config=configs/quickstart.py:generator',
    f'--workdir={output}',
    f'--config.sync_expert={output / "sync_expert" / "checkpoint"}',
    data,
  )
  _command(
    'evaluate.py',
    f'--checkpoint={output / "checkpoint"}',
    '--dataset=talking_faces/quickstart',
    f'--seed={seed}',
    '--max_clips=16',
    f'--data_dir={output / "data"}',
    f'--output={output / "evaluation"}',
  )
  _command('-m', 'data_pipeline.corpora.talking_faces.sample', f'--output={output / "sample"}', f'--seed={seed}')
  _command(
    'infer.py',
    f'--face={output / "sample" / "face.mp4"}',
    f'--audio={output / "sample" / "speech.wav"}',
    f'--output={output / "dubbed.mp4"}',
    f'--checkpoint={output / "checkpoint"}',
  )
  _report(output, time.monotonic() - started)


def _command(*arguments: str) -> None:
  print('\n$ python ' + shlex.join(arguments), flush=True)
  status = subprocess.run([sys.executable, *arguments]).returncode
  if status:
    cli.fail(f'{arguments[0]} ended with status {status}; what it said is above')


def _report(output: Path, seconds: float) -> None:
  results = json.loads((output / 'evaluation' / 'metrics.json').read_text()) | {'seconds': round(seconds, 1)}
  write_whole(output / 'metrics.json', json.dumps(results, indent=2) + '\n')
  shutil.copy(output / 'evaluation' / 'samples.png', output / 'samples.png')
  print(f'\non {results["clips"]} clips of {results["speakers"]} speakers never seen (seed {results["seed"]}):')
  for key, title in TABLE:
    print(f'  {title:46}{results[key]:10.3f}')
  for name in ('dubbed.mp4', 'samples.png', 'metrics.json', 'checkpoint'):
    print(output / name)


if __name__ == '__main__':
  cli.run(main)
