"""Says a text with espeak-ng, as a program of its own that needs Python's standard library alone.

espeak-ng keeps its state for as long as it is loaded, and the same text sounds different the second time; it serves one
caller at a time, and ends the process if it fails. A fresh process is said the same text the same way, and costs some
50 ms.

It reads a request from stdin, as JSON, and writes the answer to stdout: a line of JSON, and then the samples.
"""

import ctypes
import json
import sys
from typing import Any

SYNCHRONOUS = 2  # the way of output: to a function, all of it before espeak_Synth returns
WITH_PHONEMES, NO_EXIT = 1, 0x8000  # options of espeak_Initialize
BY_CHARACTERS, UTF8 = 1, 1  # of espeak_Synth: how positions are counted, and how the text is coded
FOUND = 0  # a status
END, WORD, PHONEME = 0, 1, 7  # types of events


class Id(ctypes.Union):
  """`id` of espeak_EVENT."""

  _fields_ = (('number', ctypes.c_int), ('name', ctypes.c_char_p), ('string', ctypes.c_char * 8))


class Event(ctypes.Structure):
  """espeak_EVENT of espeak-ng/speak_lib.h."""

  _fields_ = (
    ('type', ctypes.c_int),
    ('unique_identifier', ctypes.c_uint),
    ('text_position', ctypes.c_int),
    ('length', ctypes.c_int),
    ('audio_position', ctypes.c_int),
    ('sample', ctypes.c_int),
    ('user_data', ctypes.c_void_p),
    ('id', Id),
  )


class Voice(ctypes.Structure):
  """espeak_VOICE of espeak-ng/speak_lib.h."""

  _fields_ = (
    ('name', ctypes.c_char_p),
    ('languages', ctypes.POINTER(ctypes.c_char)),
    ('identifier', ctypes.c_char_p),
    ('gender', ctypes.c_ubyte),
    ('age', ctypes.c_ubyte),
    ('variant', ctypes.c_ubyte),
    ('xx1', ctypes.c_ubyte),
    ('score', ctypes.c_int),
    ('spare', ctypes.c_void_p),
  )


Hear = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(Event))


def main() -> None:
  """Answers the request: {library, data}, and text and voice, or the voices are listed."""
  request = json.load(sys.stdin)
  library = ctypes.CDLL(request['library'])
  library.espeak_Info.restype = ctypes.c_char_p
  rate = library.espeak_Initialize(SYNCHRONOUS, 0, request['data'].encode(), WITH_PHONEMES | NO_EXIT)
  answer: dict[str, Any] = {'rate': rate, 'version': library.espeak_Info(None).decode()}
  samples = b''
  if rate > 0 and 'text' in request:
    answer['found'] = library.espeak_SetVoiceByName(request['voice'].encode()) == FOUND
    if answer['found']:
      answer['words'], answer['phonemes'], samples = synthesise(library, request['text'])
  elif rate > 0:
    answer['languages'] = languages(library)
  sys.stdout.buffer.write(json.dumps(answer).encode() + b'\n' + samples)


def synthesise(library: ctypes.CDLL, text: str) -> tuple[list[list[int]], list[list[Any]], bytes]:
  """Returns words, [position in the text, first sample], phonemes, [first sample, name], and int16 samples."""
  words: list[list[int]] = []
  phonemes: list[list[Any]] = []
  samples = bytearray()

  def hear(wave: int | None, length: int, events: Any) -> int:
    if wave and length > 0:
      samples.extend(ctypes.string_at(wave, 2 * length))
    place = 0
    while events[place].type != END:
      event = events[place]
      if event.type == WORD:
        words.append([event.text_position - 1, event.sample])
      elif event.type == PHONEME:
        phonemes.append([event.sample, event.id.string.decode('utf-8', 'replace')])
      place += 1
    return 0

  kept = Hear(hear)  # for as long as the library calls it
  library.espeak_SetSynthCallback(kept)
  coded = text.encode() + b'\0'
  library.espeak_Synth(coded, ctypes.c_size_t(len(coded)), 0, BY_CHARACTERS, 0, UTF8, None, None)
  library.espeak_Synchronize()
  return words, phonemes, bytes(samples)


def languages(library: ctypes.CDLL) -> dict[str, list[str]]:
  """Returns the name of each language and the file of its voice, by its code."""
  library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(Voice))
  voices = library.espeak_ListVoices(None)
  ranked: dict[str, tuple[int, list[str]]] = {}
  place = 0
  while voices[place]:
    voice = voices[place].contents
    for rank, code in codes(voice.languages):
      if code not in ranked or rank < ranked[code][0]:
        ranked[code] = rank, [voice.name.decode(), voice.identifier.decode()]
    place += 1
  return {code: described for code, (_, described) in ranked.items()}


def codes(listed: Any) -> list[tuple[int, str]]:
  """Returns the languages of a voice, the lowest rank first choice: a byte each, and a text that ends in zero."""
  found = []
  place = 0
  while listed[place] != b'\0':
    rank = ord(listed[place])
    text = ctypes.string_at(ctypes.addressof(listed.contents) + place + 1)
    found.append((rank, text.decode()))
    place += len(text) + 2
  return found


if __name__ == '__main__':
  main()
