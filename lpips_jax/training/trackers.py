"""Services that show runs: Weights & Biases, MLflow. Nothing leaves this machine unless the user's environment says so.

Each settles with its own variables where the run goes (WANDB_MODE, WANDB_PROJECT, MLFLOW_TRACKING_URI, …); without
them it stays in WORKDIR. They are called by `background.Background` alone.
"""

import json
import logging as python_logging
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging
from ml_collections import ConfigDict

from lpips_jax.core.errors import first_line
from lpips_jax.core.files import shown
from lpips_jax.training.background import Service, known_id
from lpips_jax.training.config_schema import flatten

PROJECT = 'lpips-jax'  # at each service, where its own variables name no other
MAX_PARAMETERS = 100  # that MLflow takes at once
DEFAULTS = {  # of the services' own variables
  'WANDB_SILENT': 'true',  # else both write to stderr
  'MLFLOW_LOGGING_LEVEL': 'ERROR',
  'WANDB_ERROR_REPORTING': 'false',
  'MLFLOW_DISABLE_TELEMETRY': 'true',
  'WANDB_INIT_TIMEOUT': '20',  # seconds, fewer than `background.CLOSE_SECONDS`: the process waits for wandb at its end
  'WANDB_FINISH_TIMEOUT': '25',
}


class Wandb(Service):
  """A run at Weights & Biases: online for those who have logged in, else in WORKDIR/wandb, for `wandb sync`."""

  needs = 'wandb'

  def __init__(self, workdir: Path, config: ConfigDict, done: int):
    _set_defaults()
    import wandb

    self._wandb = wandb
    options: dict[str, Any] = {
      'dir': str(workdir.absolute()),
      'id': known_id(workdir, self.needs),
      'resume': 'allow',
      'project': os.environ.get('WANDB_PROJECT', PROJECT),
      'name': os.environ.get('WANDB_NAME', _run_name(workdir)),
      'config': json.loads(config.to_json_best_effort()),
      'settings': wandb.Settings(console='off', symlink=False),
    }
    mode = os.environ.get('WANDB_MODE') or ('online' if wandb.login(prompt=False, verify=False) else 'offline')
    try:
      self._run = wandb.init(mode=mode, **options)
    except wandb.errors.CommError as error:
      logging.warning('wandb does not answer, %s/wandb is for wandb sync later (%s)', workdir, first_line(error))
      wandb.teardown()  # else the id is in use
      self._run = wandb.init(mode='offline', **options)
    self.id = self._run.id

  def scalars(self, step: int, kind: str, values: dict[str, float]) -> None:
    self._log(step, {f'{kind}/{name}': value for name, value in values.items()})

  def picture(self, step: int, name: str, image: np.ndarray) -> None:
    self._log(step, {name: self._wandb.Image(image)})

  def text(self, step: int, name: str, text: str) -> None:
    self._log(step, {f'{name}_text': text})

  def video(self, step: int, name: str, frames: np.ndarray, path: Path) -> None:
    self._log(step, {name: self._wandb.Video(str(path), format='mp4')})

  def close(self, failed: bool) -> None:
    self._run.finish(exit_code=int(failed))

  def _log(self, step: int, values: dict[str, Any]) -> None:
    self._run.log(values, step=step)


class Mlflow(Service):
  """A run in MLflow: where MLFLOW_TRACKING_URI says, else in the database WORKDIR/mlflow/mlflow.db."""

  needs = 'mlflow'

  def __init__(self, workdir: Path, config: ConfigDict, done: int):
    _set_defaults()
    import mlflow

    python_logging.getLogger('urllib3').setLevel(python_logging.ERROR)  # a line for each of seven attempts
    self._entities = mlflow.entities
    own = workdir.absolute() / 'mlflow'
    uri = os.environ.get('MLFLOW_TRACKING_URI')
    if not uri:
      own.mkdir(exist_ok=True)
    self._client = mlflow.MlflowClient(uri or f'sqlite:///{own / "mlflow.db"}')
    known = known_id(workdir, self.needs)
    if known:
      self.id = known
      self._client.update_run(known, 'RUNNING')
      return
    experiment = self._experiment(None if uri else (own / 'artifacts').as_uri())
    self.id = self._client.create_run(experiment, run_name=_run_name(workdir)).info.run_id
    parameters = [self._entities.Param(name, str(value)) for name, value in flatten(config).items()]
    for first in range(0, len(parameters), MAX_PARAMETERS):
      self._client.log_batch(self.id, params=parameters[first : first + MAX_PARAMETERS])

  def scalars(self, step: int, kind: str, values: dict[str, float]) -> None:
    now = round(time.time() * 1000)
    metrics = [self._entities.Metric(f'{kind}/{name}', float(value), now, step) for name, value in values.items()]
    self._client.log_batch(self.id, metrics)

  def picture(self, step: int, name: str, image: np.ndarray) -> None:
    self._client.log_image(self.id, image, key=name, step=step)

  def text(self, step: int, name: str, text: str) -> None:
    self._client.log_text(self.id, text, f'{name}/{step:07d}.txt')

  def video(self, step: int, name: str, frames: np.ndarray, path: Path) -> None:
    self._client.log_artifact(self.id, str(path), name)

  def close(self, failed: bool) -> None:
    self._client.set_terminated(self.id, 'FAILED' if failed else 'FINISHED')

  def _experiment(self, artifacts: str | None) -> str:
    """Returns the id of the experiment that the user's environment names, or of `PROJECT`, which is made if missing."""
    given = os.environ.get('MLFLOW_EXPERIMENT_ID')
    if given:
      return given
    name = os.environ.get('MLFLOW_EXPERIMENT_NAME', PROJECT)
    found = self._client.get_experiment_by_name(name)
    return found.experiment_id if found else self._client.create_experiment(name, artifacts)


def _run_name(workdir: Path) -> str:
  """Returns the name of the run's directory, or of the URL that it is a copy of."""
  return Path(shown(str(workdir.resolve()))).name


def _set_defaults() -> None:
  for name, value in DEFAULTS.items():
    os.environ.setdefault(name, value)
