"""English numbers in words."""

import re

ONES = (
  'zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten', 'eleven', 'twelve', 'thirteen',
  'fourteen', 'fifteen', 'sixteen', 'seventeen', 'eighteen', 'nineteen',
)  # fmt: skip
TENS = ('', '', 'twenty', 'thirty', 'forty', 'fifty', 'sixty', 'seventy', 'eighty', 'ninety')
SCALES = ((10**12, 'trillion'), (10**9, 'billion'), (10**6, 'million'), (1000, 'thousand'), (100, 'hundred'))
IRREGULAR_ORDINALS = {
  'one': 'first', 'two': 'second', 'three': 'third', 'five': 'fifth', 'eight': 'eighth', 'nine': 'ninth',
  'twelve': 'twelfth',
}  # fmt: skip
MAX_DIGITS = 15  # of a number that is said as one; others are said digit by digit
CURRENCIES = {'$': ('dollar', 'cent'), '€': ('euro', 'cent'), '£': ('pound', 'pence'), '¥': ('yen', '')}


def cardinal(number: int) -> list[str]:
  """Returns the words of a number from 0 to 10^15 - 1."""
  if number < 20:
    return [ONES[number]]
  for scale, name in SCALES:
    if number >= scale:
      head, rest = divmod(number, scale)
      return [*cardinal(head), name, *(cardinal(rest) if rest else [])]
  head, rest = divmod(number, 10)
  return [TENS[head], *(cardinal(rest) if rest else [])]


def ordinal(number: int) -> list[str]:
  """Returns the words of the place in a row, from 0th to 10^15 - 1."""
  *head, last = cardinal(number)
  if last in IRREGULAR_ORDINALS:
    return [*head, IRREGULAR_ORDINALS[last]]
  return [*head, f'{last[:-1]}ieth' if last.endswith('y') else f'{last}th']


def year(number: int) -> list[str]:
  """Returns the words of a year from 1100 to 2099."""
  century, rest = divmod(number, 100)
  if (century == 20 and rest < 10) or (rest == 0 and century % 10 == 0):
    return cardinal(number)
  if rest == 0:
    return [*cardinal(century), 'hundred']
  return [*cardinal(century), *(['oh'] if rest < 10 else []), *cardinal(rest)]


def digits(text: str) -> list[str]:
  """Returns the words of digits, one by one."""
  return [ONES[int(digit)] for digit in text]


def in_words(text: str) -> list[str] | None:
  """Returns the words of a number as it is written: `3.14`, `1,000`, `21st`, `1984`, `$5.20`, `10:30`, `40%`.

  Returns None for anything else.
  """
  text = text.replace('−', '-')
  if found := re.fullmatch(r'([-+]?)([$€£¥]?)(\d{1,3}(?:,\d{3})+|\d*)(\.\d+)?([%°]?)', text):
    sign, currency, whole, fraction, unit = found.groups(default='')
    if not whole and not fraction:
      return None
    words = _money(currency, whole, fraction) if currency else _plain(whole, fraction, counts=bool(sign or unit))
    return [*{'-': ['minus'], '+': ['plus']}.get(sign, []), *words, *{'%': ['percent'], '°': ['degrees']}.get(unit, [])]
  if found := re.fullmatch(r'(\d{1,3}(?:,\d{3})+|\d+)(?:st|nd|rd|th)', text, re.IGNORECASE):
    number = found[1].replace(',', '')
    return ordinal(int(number)) if len(number) <= MAX_DIGITS else None
  if found := re.fullmatch(r'(\d{1,2}):([0-5]\d)', text):
    minutes = int(found[2])
    spoken = [*(['oh'] if minutes < 10 else []), *cardinal(minutes)] if minutes else ["o'clock"]
    return [*cardinal(int(found[1])), *spoken]
  if found := re.fullmatch(r'(\d{3})0s', text):
    *head, last = year(int(f'{found[1]}0'))
    return [*head, f'{last[:-1]}ies' if last.endswith('y') else f'{last}s']
  return None


def _plain(whole: str, fraction: str, counts: bool) -> list[str]:
  number = whole.replace(',', '')
  if len(number) > MAX_DIGITS or (len(number) > 1 and number[0] == '0'):
    words = digits(number)
  elif len(number) == 4 and number == whole and 1100 <= int(number) < 2100 and not fraction and not counts:
    words = year(int(number))
  else:
    words = cardinal(int(number or '0'))
  return [*words, 'point', *digits(fraction[1:])] if fraction else words


def _money(currency: str, whole: str, fraction: str) -> list[str]:
  unit, hundredth = CURRENCIES[currency]
  number = whole.replace(',', '') or '0'
  words = _plain(number, '' if len(fraction) == 3 else fraction, counts=True)
  words += [unit if words == ['one'] or unit == 'yen' else f'{unit}s']
  if len(fraction) == 3 and int(fraction[1:]):
    words += cardinal(int(fraction[1:]))
    words += [] if number != '0' else [hundredth if hundredth == 'pence' else f'{hundredth}s']
  return words[words.index(f'{unit}s') + 1 :] if number == '0' and len(fraction) == 3 and f'{unit}s' in words else words
