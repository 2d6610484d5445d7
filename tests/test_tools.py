"""The scripts of tools/, whose commands are printed, or given to stand-ins for the programs of clouds and clusters."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TPU = {
  'ZONE': 'us-west4-a',
  'NAME': 'lips',
  'TYPE': 'v5litepod-16',
  'BUCKET': 'gs://bucket',
  'ACCOUNT': 'lips@project.iam.gserviceaccount.com',
  'WAIT': '0',
}
DATAFLOW = {'PROJECT': 'project', 'REGION': 'us-west4', 'BUCKET': 'gs://bucket', 'ACCOUNT': TPU['ACCOUNT']}
FLAGS = ['--config=configs/lrs2.py', '--workdir=gs://bucket/runs/lrs2', "--config.model.widths=(1, 2)'s"]


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
  """Puts a program in front of all others: a body of bash, after a line that logs the call."""
  monkeypatch.setenv('PATH', f'{tmp_path / "bin"}:{os.environ["PATH"]}')

  def make(name: str, body: str = '') -> None:
    path = tmp_path / 'bin' / name
    path.parent.mkdir(exist_ok=True)
    log = f"printf '%s\\x1f' {name} \"$@\" >>'{tmp_path}/calls'; printf '\\x1e' >>'{tmp_path}/calls'"
    path.write_text(f'#!/bin/bash\n{log}\n{body}\n')
    path.chmod(0o755)

  return make


def calls(tmp_path) -> list[list[str]]:
  return [call.split('\x1f')[:-1] for call in (tmp_path / 'calls').read_text().split('\x1e')[:-1]]


def run(script: str, *arguments: str, directory: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
  return subprocess.run(
    ['bash', ROOT / 'tools' / script, *arguments],
    cwd=directory,
    env=os.environ | environment,
    capture_output=True,
    text=True,
  )


@pytest.mark.parametrize(
  'script, arguments, environment, problem',
  [
    ('tpu_pod.sh', [], TPU, 'give create, keep'),
    ('tpu_pod.sh', ['trane'], TPU, 'give create, keep'),
    ('tpu_pod.sh', ['create'], TPU | {'BUCKET': ''}, 'set BUCKET'),
    ('tpu_pod.sh', ['watch'], TPU | {'ZONE': ''}, 'set ZONE'),
    ('tpu_pod.sh', ['create'], TPU | {'TYPE': 'v4-8'}, 'set RUNTIME'),
    ('tpu_pod.sh', ['ssh', 'ls', '-l'], TPU, 'one command'),
    ('dataflow.sh', ['--layout=lrs2'], DATAFLOW | {'ACCOUNT': ''}, 'set ACCOUNT'),
    ('slurm.sbatch', [], {}, 'give a command'),
  ],
)
def test_what_is_missing_is_said_in_a_line(script, arguments, environment, problem, stand_in, tmp_path):
  for program in 'gcloud', 'python', 'srun':
    stand_in(program)
  ended = run(script, *arguments, **environment)
  assert ended.returncode == 2
  assert ended.stderr.startswith(f'{script}: ')
  assert problem in ended.stderr
  assert ended.stderr.count('\n') == 1
  assert not (tmp_path / 'calls').exists()


def test_a_host_that_starts_installs_what_is_committed_and_trains(stand_in, tmp_path):
  host = tmp_path / 'host'
  stand_in(
    'gcloud',
    f"""
case "$*" in
  'storage cp '*) cp "$3" "{tmp_path}/code.tar.gz" ;;
  'storage cat '*) cat "{tmp_path}/code.tar.gz" ;;
  *create*) for word; do
    case $word in --metadata-from-file=startup-script=*) cp "${{word##*=}}" "{tmp_path}/startup.sh" ;; esac
  done ;;
esac""",
  )
  assert run('tpu_pod.sh', 'create', *FLAGS, **TPU).returncode == 0
  (created,) = (words for words in calls(tmp_path) if 'create' in words)
  assert {'--spot', '--node-id=lips', '--runtime-version=v2-alpha-tpuv5-lite'} <= set(created)

  startup = tmp_path / 'startup.sh'
  startup.write_text(startup.read_text().replace('/opt/lip-sync', str(host)))
  stand_in('python3', 'mkdir -p uv/bin; printf "#!/bin/bash\\necho uv \\"\\${*@Q}\\"" >uv/bin/uv; chmod +x uv/bin/uv')
  stand_in('systemctl', 'exit 1')
  stand_in('systemd-run')
  subprocess.run(['bash', startup], check=True, env=os.environ, capture_output=True)
  committed = subprocess.run(['git', 'show', 'HEAD:train.py'], cwd=ROOT, check=True, capture_output=True)
  assert (host / 'train.py').read_bytes() == committed.stdout
  program, *_, shell = calls(tmp_path)[-1]
  assert program == 'systemd-run'
  first, *_, last = shell.splitlines()
  assert shlex.split(first) == ['tools/until_done.sh', '.venv/bin/python', 'train.py', *FLAGS]
  for status, told in ('0', True), ('2', True), ('75', False):
    (tmp_path / 'calls').write_text('')
    subprocess.run(['bash', '-c', f'(exit {status})\n{last}'], env=os.environ)
    assert calls(tmp_path) == [['gcloud', 'storage', 'cp', '-', 'gs://bucket/tpu/lips.ended']] * told

  subprocess.run(['bash', startup], check=True, env=os.environ)  # the host starts again
  assert [words[0] for words in calls(tmp_path)[-2:]] == ['systemctl', 'systemd-run']


def test_keep_asks_for_the_tpu_again_after_preemption_and_deletes_it_once_the_run_has_ended(stand_in, tmp_path):
  states = tmp_path / 'states'
  states.write_text('\nWAITING_FOR_RESOURCES\nACTIVE\nSUSPENDING\nSUSPENDED\nPROVISIONING\nACTIVE\nENDED\n')
  stand_in(
    'gcloud',
    f"""
case "$*" in
  'storage ls'*) [ "$(head -n1 "{states}")" = ENDED ] ;;
  'storage cat'*) echo 0 ;;
  *describe*) head -n1 "{states}"; sed -i 1d "{states}" ;;
esac""",
  )
  ended = run('tpu_pod.sh', 'keep', *FLAGS, **TPU)
  assert ended.returncode == 0, ended.stderr
  assert ended.stdout == 'lips is deleted: the run has ended with status 0\n'
  verbs = [words[4] for words in calls(tmp_path) if words[1:3] == ['compute', 'tpus']]
  assert [verb for verb in verbs if verb != 'describe'] == ['create', 'delete', 'create', 'delete']


def test_keep_gives_up_when_the_request_is_refused(stand_in):
  stand_in('gcloud', 'case "$*" in *describe*) echo FAILED ;; "storage ls"*) exit 1 ;; esac')
  ended = run('tpu_pod.sh', 'keep', *FLAGS, **TPU)
  assert ended.returncode == 2
  assert 'the request failed' in ended.stderr


@pytest.mark.parametrize('status, requeued', [(0, False), (1, False), (2, False), (75, True)])
def test_slurm_queues_a_job_again_that_is_well(status, requeued, stand_in, tmp_path):
  stand_in('srun', f'exit {status}')
  stand_in('scontrol')
  ended = run('slurm.sbatch', 'train.py', *FLAGS, PYTHON='python', SLURM_JOB_ID='7', SLURM_CPUS_PER_TASK='3')
  assert ended.returncode == status
  started, *after = calls(tmp_path)
  assert started == ['srun', '--gpu-bind=none', '--cpus-per-task=3', 'python', 'train.py', *FLAGS]
  assert after == ([['scontrol', 'requeue', '7']] if requeued else [])


def test_tasks_of_an_array_get_their_index():
  ended = run('slurm.sbatch', '-m', 'lpips_jax.sweep', '--workdir=runs', DRY_RUN='1', SLURM_ARRAY_TASK_ID='3')
  assert shlex.split(ended.stdout)[-4:] == ['-m', 'lpips_jax.sweep', '--workdir=runs', '--index=3']


def dataflow() -> tuple[list[str], list[str]]:
  """The commands of tools/dataflow.sh."""
  ended = run('dataflow.sh', '--layout=lrs2', '--source=gs://bucket/lrs2', DRY_RUN='1', **DATAFLOW)
  wheel, prepare = (shlex.split(line) for line in ended.stdout.splitlines())
  return wheel, prepare


def test_dataflow_gets_the_project_as_a_package():
  wheel, prepare = dataflow()
  assert wheel[:4] == ['python', '-m', 'pip', 'wheel']
  (directory,) = (word.partition('=')[2] for word in wheel if word.startswith('--wheel-dir='))
  assert prepare[:4] == ['python', '-m', 'data_pipeline.preprocess', '--beam_runner=DataflowRunner']
  assert prepare[-2:] == ['--layout=lrs2', '--source=gs://bucket/lrs2']
  assert f'--beam_option=--extra_package={directory}/NAME.whl' in prepare


def test_beam_knows_all_options():
  options = pytest.importorskip('apache_beam.options.pipeline_options')
  given = [word.removeprefix('--beam_option=') for word in dataflow()[1] if word.startswith('--beam_option=')]
  parsed = options.PipelineOptions(given)
  kinds = options.GoogleCloudOptions, options.WorkerOptions, options.SetupOptions
  known = {name for kind in kinds for name in vars(parsed.view_as(kind)._visible_options)}
  names = {option.removeprefix('--').partition('=')[0] for option in given}
  assert len(names) == 7
  assert names <= known | {'extra_package'}  # which Beam calls extra_packages


@pytest.mark.parametrize('script', sorted(path.name for path in (ROOT / 'tools').iterdir()))
def test_scripts_are_clean(script):
  if not shutil.which('shellcheck'):
    pytest.skip('shellcheck is not here')
  subprocess.run(['shellcheck', ROOT / 'tools' / script], check=True)
