"""Serves the page: a face and speech in, a video out, in a browser.

  python app.py --checkpoint=runs/demo/checkpoint
  python app.py --checkpoint=runs/demo/checkpoint --host=0.0.0.0 --port=8080 --max_minutes=2

It is for this computer alone unless --host says otherwise, loads one generator, and makes one dub at a time. Uploads
and results are deleted after an hour, and when the page ends. docs/page.md says more.
"""

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

from absl import flags

from lpips_jax.core import cli
from lpips_jax.core.errors import UserError
from lpips_jax.core.jax_environment import keep_compiled_programs
from lpips_jax.core.machine import return_freed_memory
from lpips_jax.dubbing.engine import DEFAULT_BATCH_SIZE, PRECISIONS
from lpips_jax.faces.detect import DETECTORS
from lpips_jax.web.limits import Limits
from lpips_jax.web.service import Service
from lpips_jax.web.storage import Storage

flags.DEFINE_string('checkpoint', None, 'A generator: the checkpoint directory that train.py wrote.')
flags.DEFINE_boolean(
  'trust_stablehlo', False, 'Accept exported StableHLO, a program, as --checkpoint, if you trust it.'
)
flags.DEFINE_string('host', '127.0.0.1', 'The address to listen at; 0.0.0.0 is for everybody on the network.')
flags.DEFINE_integer('port', 7860, 'The port to listen at; 0 is any free one.', lower_bound=0, upper_bound=65535)
flags.DEFINE_float('max_minutes', Limits.max_minutes, 'The longest speech that is accepted.')
flags.DEFINE_integer('max_pixels', Limits.max_pixels, 'The largest picture that is accepted, width times height.')
flags.DEFINE_integer('max_megabytes', Limits.max_megabytes, 'The largest file that is accepted.')
flags.DEFINE_integer('max_queue', Limits.max_queue, 'How many dubs are made or wait at once.')
flags.DEFINE_enum('detector', 'auto', DETECTORS, 'The face detector; auto is YuNet where its file is available.')
flags.DEFINE_string('detector_model', None, "YuNet's file, if not downloaded and not named by LIPSYNC_YUNET.")
flags.DEFINE_integer('batch_size', DEFAULT_BATCH_SIZE, 'Faces generated at once.')
flags.DEFINE_enum(
  'precision', 'auto', PRECISIONS, 'Numbers the generator computes with; auto: bfloat16 on GPUs and TPUs.'
)


def main() -> None:
  given = flags.FLAGS
  cli.require_flags('checkpoint')
  keep_compiled_programs()
  return_freed_memory()
  limits = Limits(given.max_minutes, given.max_pixels, given.max_megabytes, max_queue=given.max_queue)
  with Storage() as storage:
    service = Service(
      given.checkpoint,
      storage,
      limits,
      {'detector': given.detector, 'detector_model': given.detector_model},
      batch_size=given.batch_size,
      precision=given.precision,
      trust_stablehlo=given.trust_stablehlo,
    )
    serve = _import_serve(storage)
    try:
      with serve(service, given.host, given.port) as url:
        print(f'the page is at {url} (Ctrl-C ends it)', flush=True)
        service.prepare()  # a checkpoint that cannot be used ends the page
        threading.Event().wait()
    finally:
      service.close()


def _import_serve(storage: Storage) -> Callable[..., AbstractContextManager[str]]:
  """Imports Gradio, which would otherwise report that it is used, and keep files where others may look."""
  os.environ |= {'GRADIO_ANALYTICS_ENABLED': 'False', 'HF_HUB_OFFLINE': '1', 'HF_HUB_DISABLE_TELEMETRY': '1'}
  os.environ['GRADIO_TEMP_DIR'] = str(storage.uploads)
  try:
    from lpips_jax.web.server import serve
  except ImportError as error:
    raise UserError("the page needs Gradio: pip install 'lpips-jax[web]'") from error
  return serve


if __name__ == '__main__':
  cli.run(main, remote=('checkpoint',))
