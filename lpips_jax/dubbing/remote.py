"""Dubs of files in buckets: inputs are copied to this machine for one dub, outputs are put into the bucket after it."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from lpips_jax.core.files import PathLike
from lpips_jax.dubbing.options import Options
from lpips_jax.storage.places import is_remote, remote_ones, require_local
from lpips_jax.storage.staging import staged
from lpips_jax.storage.transfer import local_input, local_output


class Files(NamedTuple):
  """The files of a dub on this machine; see `Dubber.dub`."""

  face: PathLike
  audio: PathLike | None
  output: PathLike
  options: Options


@contextlib.contextmanager
def local_files(face: PathLike, audio: PathLike | None, output: PathLike, options: Options) -> Iterator[Files]:
  """Yields the arguments of a dub with files of this machine in place of URLs.

  Outputs are put into the bucket if the body succeeds, `output` last: once it is there, everything is. Turns and
  checkpoints stay as they are, for those who read them take URLs.

  Raises:
    UserError: an input cannot be read, an output cannot be written, or something must be on this machine.
  """
  require_local(c2pa_cert=options.c2pa_cert, c2pa_key=options.c2pa_key)
  with contextlib.ExitStack() as copies:
    read: dict[str, Path] = {}  # each is copied once: a face may bring the speech, too

    def local(path: PathLike) -> PathLike:
      url = str(path)
      if is_remote(path) and url not in read:
        read[url] = copies.enter_context(local_input(path))
      return read.get(url, path)

    def written(path: PathLike) -> PathLike:
      return copies.enter_context(local_output(path)) if is_remote(path) else path

    changed: dict[str, Any] = {
      'other_inputs': [*options.other_inputs, *remote_ones([face, audio, options.boxes])],
      'other_outputs': [*options.other_outputs, *remote_ones([output, options.preview, options.save_boxes])],
    }
    its_output = written(output)
    for name, place in (('save_boxes', written), ('preview', written), ('boxes', local), ('detector_model', staged)):
      if (path := getattr(options, name)) is not None and is_remote(path):
        changed[name] = place(path)
    its_audio = None if audio is None else local(audio)
    yield Files(local(face), its_audio, its_output, dataclasses.replace(options, **changed))
