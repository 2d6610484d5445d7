"""Pickles read by looking at them: containers, texts and numbers are kept, and nothing is imported or called.

A pickle is a program for a machine with a stack. Python's own one imports whatever it is told and calls it; this one
knows containers and scalars, and makes something opaque of everything else. So whatever a pickle says, no code runs
that is not in this module or given to it by its caller.
"""

import pickletools
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, NamedTuple, cast

KEYS = str, int, float, bytes, type(None)  # types of keys; nested ones could overflow C's stack when hashed
KEY_BITS = 64  # of keys that are integers; larger ones can all have one hash, and make a dict slow
MAX_PLACES = 2**32  # of the memo, as Python's own pickles have
MAX_OPERATIONS = 10_000_000  # each takes a byte of the file and up to about 100 of memory; weights take thousands


class Name(NamedTuple):
  """The name of a class or function that a pickle asks for; it is not imported."""

  module: str
  name: str


class Opaque:
  """Stands for an object that the pickle would have made; it takes whatever it is given, and keeps nothing."""


Rules = Mapping[Name, Callable[[tuple[Any, ...]], Any]]


def load(file: BinaryIO, rules: Rules, persistent: Callable[[Any], Any]) -> Any:
  """Reads one pickle, and leaves the file behind its end.

  Args:
    file: open for reading; its `read` must not allocate more than there is, as those of BytesIO and mmap do not.
    rules: by the names of functions, what to make of their arguments, a tuple of whatever; they must mistrust it.
    persistent: makes something of a persistent identifier, which may be anything.

  Returns:
    dicts, lists (sets, too, become lists), tuples, texts, bytes, numbers, None, and in other places `Name`, `Opaque`,
    or what `rules` and `persistent` returned. Items whose key is none of `KEYS`, or is an integer of more than
    `KEY_BITS`, are left out.

  Raises:
    ValueError: it is no pickle, a damaged one, or one of more than `MAX_OPERATIONS`; damaged ones raise other errors,
      too, `IndexError` and `TypeError` among them.
  """
  machine = _Machine(rules, persistent)
  for number, (operation, argument, _) in enumerate(pickletools.genops(cast(Any, file))):
    if number >= MAX_OPERATIONS:
      raise ValueError(f'pickles of more than {MAX_OPERATIONS:,} operations are not read')
    machine.run(operation.name, argument)
  return machine.stack.pop()


class _Machine:
  """The stack, the places of marks in it, and the memo."""

  def __init__(self, rules: Rules, persistent: Callable[[Any], Any]) -> None:
    self.stack: list[Any] = []
    self.marks: list[int] = []
    self.memo: dict[int, Any] = {}
    self.rules, self.persistent = rules, persistent

  def run(self, name: str, argument: Any) -> None:
    """Executes one operation, of those that pickletools knows."""
    if name in _VALUES:
      self.stack.append(argument)
    elif name in _CONSTANTS:
      self.stack.append(_CONSTANTS[name]())
    elif name not in _IGNORED:
      operation = _OPERATIONS.get(name)
      if operation is None:
        raise ValueError(f'pickles with {name} are not read')
      operation(self, argument)

  def top(self) -> Any:
    """The last value above the last mark."""
    if len(self.stack) <= (self.marks[-1] if self.marks else 0):
      raise ValueError('the stack is empty')
    return self.stack[-1]

  def pop(self) -> Any:
    value = self.top()
    del self.stack[-1]
    return value

  def since_mark(self) -> list[Any]:
    """Takes what is above the last mark."""
    place = self.marks.pop()
    values = self.stack[place:]
    del self.stack[place:]
    return values

  def made(self, maker: Any, arguments: Any) -> Any:
    rule = self.rules.get(maker) if isinstance(maker, Name) else None
    return rule(arguments) if rule and isinstance(arguments, tuple) else Opaque()


def _mark(machine: _Machine, _: Any) -> None:
  machine.marks.append(len(machine.stack))


def _pop(machine: _Machine, _: Any) -> None:
  if machine.marks and machine.marks[-1] == len(machine.stack):
    machine.marks.pop()
  else:
    machine.pop()


def _pop_mark(machine: _Machine, _: Any) -> None:
  machine.since_mark()


def _tuple(count: int | None) -> Callable[[_Machine, Any], None]:
  def operation(machine: _Machine, _: Any) -> None:
    values = machine.since_mark() if count is None else [machine.pop() for _ in range(count)][::-1]
    machine.stack.append(tuple(values))

  return operation


def _list(machine: _Machine, _: Any) -> None:
  machine.stack.append(machine.since_mark())


def _dict(machine: _Machine, _: Any) -> None:
  values = machine.since_mark()
  machine.stack.append({})
  _set(machine, values)


def _set(machine: _Machine, values: list[Any]) -> None:
  target = machine.top()
  if isinstance(target, dict):
    pairs = zip(values[::2], values[1::2], strict=True)
    target.update((key, value) for key, value in pairs if _is_key(key))


def _is_key(value: Any) -> bool:
  return isinstance(value, KEYS) and not (isinstance(value, int) and value.bit_length() > KEY_BITS)


def _extend(machine: _Machine, values: list[Any]) -> None:
  target = machine.top()
  if isinstance(target, list):
    target.extend(values)


def _set_one(machine: _Machine, _: Any) -> None:
  value, key = machine.pop(), machine.pop()
  _set(machine, [key, value])


def _append(machine: _Machine, _: Any) -> None:
  _extend(machine, [machine.pop()])


def _put(machine: _Machine, place: Any) -> None:
  place = len(machine.memo) if place is None else place
  if not 0 <= place < MAX_PLACES:
    raise ValueError('the memo has no such place')
  machine.memo[place] = machine.top()


def _get(machine: _Machine, place: Any) -> None:
  machine.stack.append(machine.memo[place])


def _stack_global(machine: _Machine, _: Any) -> None:
  name, module = machine.pop(), machine.pop()
  machine.stack.append(_name(module, name))


def _name(module: Any, name: Any) -> Any:
  return Name(module, name) if isinstance(module, str) and isinstance(name, str) else Opaque()


def _reduce(machine: _Machine, _: Any) -> None:
  arguments, maker = machine.pop(), machine.pop()
  machine.stack.append(machine.made(maker, arguments))


def _opaque(taken: int | None) -> Callable[[_Machine, Any], None]:
  """An object in the place of so many values; None: of those above the last mark."""

  def operation(machine: _Machine, _: Any) -> None:
    if taken is None:
      machine.since_mark()
    for _ in range(taken or 0):
      machine.pop()
    machine.stack.append(Opaque())

  return operation


def _persistent(machine: _Machine, argument: Any) -> None:
  machine.stack.append(machine.persistent(machine.pop() if argument is None else argument))


_NUMBERS = 'INT', 'BININT', 'BININT1', 'BININT2', 'LONG', 'LONG1', 'LONG4', 'FLOAT', 'BINFLOAT'
_TEXTS = 'STRING', 'BINSTRING', 'SHORT_BINSTRING', 'UNICODE', 'BINUNICODE', 'SHORT_BINUNICODE', 'BINUNICODE8'
_BYTES = 'BINBYTES', 'SHORT_BINBYTES', 'BINBYTES8', 'BYTEARRAY8'
_VALUES = frozenset((*_NUMBERS, *_TEXTS, *_BYTES))
_CONSTANTS: dict[str, Callable[[], Any]] = {
  'NONE': lambda: None,
  'NEWTRUE': lambda: True,
  'NEWFALSE': lambda: False,
  'EMPTY_TUPLE': tuple,
  'EMPTY_LIST': list,
  'EMPTY_DICT': dict,
  'EMPTY_SET': list,
}
_IGNORED = frozenset(('PROTO', 'FRAME', 'STOP'))
_OPERATIONS: dict[str, Callable[[_Machine, Any], None]] = {
  'MARK': _mark,
  'POP': _pop,
  'POP_MARK': _pop_mark,
  'DUP': lambda machine, _: machine.stack.append(machine.top()),
  'TUPLE': _tuple(None),
  'TUPLE1': _tuple(1),
  'TUPLE2': _tuple(2),
  'TUPLE3': _tuple(3),
  'LIST': _list,
  'FROZENSET': _list,
  'DICT': _dict,
  'SETITEM': _set_one,
  'SETITEMS': lambda machine, _: _set(machine, machine.since_mark()),
  'APPEND': _append,
  'APPENDS': lambda machine, _: _extend(machine, machine.since_mark()),
  'ADDITEMS': lambda machine, _: _extend(machine, machine.since_mark()),
  'PUT': _put,
  'BINPUT': _put,
  'LONG_BINPUT': _put,
  'MEMOIZE': _put,
  'GET': _get,
  'BINGET': _get,
  'LONG_BINGET': _get,
  'GLOBAL': lambda machine, argument: machine.stack.append(_name(*argument.split(' ', 1))),
  'STACK_GLOBAL': _stack_global,
  'EXT1': _opaque(0),
  'EXT2': _opaque(0),
  'EXT4': _opaque(0),
  'REDUCE': _reduce,
  'NEWOBJ': _opaque(2),
  'NEWOBJ_EX': _opaque(3),
  'INST': _opaque(None),
  'OBJ': _opaque(None),
  'BUILD': _pop,  # the state of what is below it
  'PERSID': _persistent,
  'BINPERSID': _persistent,
}
