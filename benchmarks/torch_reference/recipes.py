"""Recipes: the ways of running PyTorch that the project is compared with."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import nn

from benchmarks.speed.workers import Contender, Outputs, Side

Network = TypeVar('Network', bound=nn.Module)


@dataclass(frozen=True)
class Recipe:
  """A way to run a network.

  Attributes:
    device: 'cpu' or 'cuda'.
    bf16: use autocast to bfloat16.
    compiled: use torch.compile.
    tuned: use channels last, fused Adam, TF32 in place of float32, and cuDNN's search for the best algorithms;
      otherwise PyTorch's defaults, as Wav2Lip's code does.
    compile_mode: torch.compile's mode.
  """

  device: str
  bf16: bool = False
  compiled: bool = False
  tuned: bool = True
  compile_mode: str = 'default'

  @property
  def memory_format(self) -> torch.memory_format:
    return torch.channels_last if self.tuned else torch.contiguous_format

  def placed(self, module: Network) -> Network:
    """Moves a module to the device, in the recipe's memory format."""
    return module.to(self.device, memory_format=self.memory_format)  # type: ignore[call-overload]  # no stub has it

  def autocast(self) -> AbstractContextManager:
    return torch.autocast(self.device, torch.bfloat16, enabled=self.bf16)

  def translated(self, function: Callable[..., Any], frozen: bool = False) -> Callable[..., Any]:
    """Returns the function, compiled if the recipe says so; `frozen` promises that its weights never change again."""
    if not self.compiled:
      return function
    modes = torch._inductor.list_mode_options(self.compile_mode)
    return torch.compile(function, options=modes | {'freezing': frozen})

  def begin_step(self) -> None:
    """Releases the outputs of the last step, so that CUDA graphs may overwrite them."""
    if self.compiled:
      torch.compiler.cudagraph_mark_step_begin()

  def contender(self, once: Callable[[], Any], outputs: Callable[[], Outputs]) -> Contender:
    """Returns a contender that measures `once` and compares `outputs` under this recipe."""

    def run(repeats: int) -> None:
      self._use()
      for _ in range(repeats):
        once()
      if self.device == 'cuda':
        torch.cuda.synchronize()

    def compared() -> Outputs:
      self._use()
      return outputs()

    return Contender(compared, run)

  def _use(self) -> None:
    """Sets PyTorch's process-wide switches."""
    torch.backends.cudnn.benchmark = self.tuned
    torch.set_float32_matmul_precision('high' if self.tuned else 'highest')


def start() -> str:
  """Prepares PyTorch before it computes anything, and returns the device: 'cpu' or 'cuda'.

  Denormal numbers become zero, as in XLA: Adam's moments of units that are never active decay to denormals, which take
  a CPU a hundred times as long.
  """
  torch.set_flush_denormal(True)  # for this thread and those that it starts
  return 'cuda' if torch.cuda.is_available() else 'cpu'


def side(device: str, contenders: dict[str, Contender]) -> Side:
  """Returns PyTorch's side of a comparison."""
  on_gpu = device == 'cuda'
  name = torch.cuda.get_device_name() if on_gpu else 'cpu'
  return Side('gpu' if on_gpu else 'cpu', name, torch.__version__, contenders)


def recipe(row: str, device: str, compile_mode: str = 'default') -> Recipe:
  """Returns the recipe of a row: `released_recipe`, or `eager` or `compiled` with `_float32` or `_bf16`."""
  if row == 'released_recipe':
    return Recipe(device, tuned=False)
  way, _, dtype = row.partition('_')
  return Recipe(device, bf16=dtype == 'bf16', compiled=way == 'compiled', compile_mode=compile_mode)
