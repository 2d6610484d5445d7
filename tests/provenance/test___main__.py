"""The command: its output, its exit status, and one line for what it cannot read."""

import json
import subprocess
import sys

import pytest

from lpips_jax.provenance.account import account
from lpips_jax.provenance.marking import marks
from lpips_jax.provenance.statement import Statement
from lpips_jax.storage import stores

DUBBED = Statement('dubbed', model='demo')


def run(*arguments) -> subprocess.CompletedProcess:
  command = [sys.executable, '-m', 'lpips_jax.provenance', *map(str, arguments)]
  return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_tells_what_a_film_says(film):
  done = run(film('v.mp4', marks(DUBBED)))
  assert (done.returncode, done.stderr) == (0, '')
  assert done.stdout.startswith('the file: edited by a trained algorithm (AI)') and 'proves nothing' in done.stdout
  assert json.loads(run('--json', film('v.mp4', marks(DUBBED))).stdout)['marks'][0]['model'] == 'demo'


def test_it_tells_what_a_film_in_a_bucket_says(film, gs_bucket):
  path = film('v.mp4', marks(DUBBED))
  stores.put(path, f'{gs_bucket.url}/v.mp4')
  assert json.loads(run('--json', f'{gs_bucket.url}/v.mp4').stdout) == json.loads(json.dumps(account(path).as_dict()))


def test_it_fails_where_a_signed_film_was_changed(film, pems):
  path = film('v.mp4', marks(DUBBED, None, None, *pems))
  assert 'signature: trusted' in run(path, f'--trust_anchors={pems[0]}').stdout
  content = bytearray(path.read_bytes())
  content[content.index(b'mdat') + 99] ^= 4
  path.write_bytes(content)
  done = run(path)
  assert (done.returncode, done.stderr) == (1, '') and 'is NOT as it was signed' in done.stdout


def test_it_makes_a_certificate(tmp_path):
  pytest.importorskip('cryptography')
  done = run(f'--make_certificate={tmp_path}')
  assert done.returncode == 0 and 'untrusted' in done.stdout and (tmp_path / 'key.pem').is_file()
  assert run(f'--make_certificate={tmp_path}').returncode == 2


def test_bad_input_is_one_line_and_status_2(tmp_path, film):
  (tmp_path / 'text.mp4').write_text('no film')
  hostile = film('hostile.mp4')
  with hostile.open('ab') as file:  # XMP of 4 GB, as it says, and an open box
    file.write(
      b'\0\0\0\0uuid' + bytes.fromhex('BE7ACFCB97A942E89C71999491E3AFAC') + b'<!DOCTYPE a [<!ENTITY b "b">]><a/>'
    )
  for arguments in ([], [tmp_path / 'text.mp4'], [hostile], [hostile, f'--trust_anchors={hostile}']):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, '') and len(done.stderr.splitlines()) == 1, arguments
