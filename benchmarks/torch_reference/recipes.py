"""How PyTorch is asked to run: the ways that the project is measured against."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from benchmarks.workers import Contender, Outputs, Side


@dataclass(frozen=True)
class Recipe:
  """A way to run a network.

  Attributes:
    device: 'cpu' or 'cuda'.
    bf16: under autocast to bfloat16.
    compiled: by torch.compile, in `compile_mode`.
    tuned: channels last, fused Adam, TF32 for what is float32, and cuDNN's search for the best algorithms; otherwise
      PyTorch's defaults, which Wav2Lip's code has.
  """

  device: str
  bf16: bool = False
  compiled: bool = False
  tuned: bool = True
  compile_mode: str = 'default'

  @property
  def memory_format(self) -> torch.memory_format:
    return torch.channels_last if self.tuned else torch.contiguous_format

  def placed(self, module: nn.Module) -> nn.Module:
    return module.to(self.device, memory_format=self.memory_format)

  def autocast(self) -> AbstractContextManager:
    return torch.autocast(self.device, torch.bfloat16, enabled=self.bf16)

  def translated(self, function: Callable[..., Any], frozen: bool = False) -> Callable[..., Any]:
    """The function compiled, or as it is; `frozen` if its weights never change again, and may be rearranged."""
    if not self.compiled:
      return function
    modes = torch._inductor.list_mode_options(self.compile_mode)
    return torch.compile(function, options=modes | {'freezing': frozen})

  def begin_step(self) -> None:
    """Says that nobody needs any more what was made in the last step, so that CUDA graphs may write there."""
    if self.compiled:
      torch.compiler.cudagraph_mark_step_begin()

  def contender(self, once: Callable[[], Any], outputs: Callable[[], Outputs]) -> Contender:
    """Work that is run this way: `once` is what is measured, `outputs` what is compared."""

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
    """Sets what PyTorch keeps for the whole process."""
    torch.backends.cudnn.benchmark = self.tuned
    torch.set_float32_matmul_precision('high' if self.tuned else 'highest')


def start() -> str:
  """Says which device there is: 'cpu' or 'cuda'; to be called before PyTorch computes anything.

  Numbers too small to be normal become zero, as in XLA: Adam's moments of units that are never active decay to such,
  and a CPU then takes a hundred times as long.
  """
  torch.set_flush_denormal(True)  # of this thread and those that it starts
  return 'cuda' if torch.cuda.is_available() else 'cpu'


def side(device: str, contenders: dict[str, Contender]) -> Side:
  """What PyTorch's worker holds."""
  on_gpu = device == 'cuda'
  name = torch.cuda.get_device_name() if on_gpu else 'cpu'
  return Side('gpu' if on_gpu else 'cpu', name, torch.__version__, contenders)


def recipe(row: str, device: str, compile_mode: str = 'default') -> Recipe:
  """Returns the recipe of a row: `released_recipe`, or `eager` or `compiled` with `_float32` or `_bf16`."""
  if row == 'released_recipe':
    return Recipe(device, tuned=False)
  way, _, dtype = row.partition('_')
  return Recipe(device, bf16=dtype == 'bf16', compiled=way == 'compiled', compile_mode=compile_mode)
