"""The inspect command."""

import subprocess
import sys

from lpips_jax.storage import stores, transfer


def test_the_command_writes_a_page_and_reports_bad_input(corpus, tmp_path):
  output = tmp_path / 'new' / 'inspect.html'
  command = [sys.executable, '-m', 'data_pipeline.inspect', 'talking_faces/tiny', f'--data_dir={corpus / "data"}']
  result = subprocess.run(
    [*command, f'--output={output}', '--windows=1', '--max_clips=3'], capture_output=True, text=True
  )
  assert (result.returncode, result.stderr) == (0, '')
  assert '3 clips of 3 speakers' in result.stdout and 'no problems found' in result.stdout  # every other clip
  assert output.read_text().count('<img') == 1
  for options in ([f'--output={tmp_path}'], [f'--output={tmp_path / "no" / "a.html"}', '--split=dev']):
    bad = subprocess.run([*command, *options], capture_output=True, text=True)
    assert bad.returncode == 2 and len(bad.stderr.splitlines()) == 1
  assert not (tmp_path / 'no').exists()


def test_the_corpus_and_the_page_may_be_in_a_bucket(gs_bucket, built):
  transfer.upload(built, f'{gs_bucket.url}/data')
  command = [sys.executable, '-m', 'data_pipeline.inspect', 'folder', f'--data_dir={gs_bucket.url}/data']
  result = subprocess.run([*command, f'--output={gs_bucket.url}/a.html', '--windows=1'], capture_output=True, text=True)
  assert (result.returncode, result.stderr) == (0, '') and '9 clips' in result.stdout
  assert stores.read(f'{gs_bucket.url}/a.html').count(b'<img') == 1
