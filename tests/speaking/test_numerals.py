"""Numbers are said as people say them."""

import pytest

from lpips_jax.speaking.numerals import cardinal, in_words, ordinal


@pytest.mark.parametrize(
  ('written', 'said'),
  [
    ('0', 'zero'),
    ('17', 'seventeen'),
    ('42', 'forty two'),
    ('105', 'one hundred five'),
    ('1,000', 'one thousand'),
    ('12,345,678', 'twelve million three hundred forty five thousand six hundred seventy eight'),
    ('3.14', 'three point one four'),
    ('.5', 'zero point five'),
    ('-7', 'minus seven'),
    ('−7', 'minus seven'),
    ('007', 'zero zero seven'),
    ('1984', 'nineteen eighty four'),
    ('1905', 'nineteen oh five'),
    ('1900', 'nineteen hundred'),
    ('2000', 'two thousand'),
    ('2007', 'two thousand seven'),
    ('2026', 'twenty twenty six'),
    ('1990s', 'nineteen nineties'),
    ('3456', 'three thousand four hundred fifty six'),
    ('1st', 'first'),
    ('22nd', 'twenty second'),
    ('40th', 'fortieth'),
    ('112th', 'one hundred twelfth'),
    ('40%', 'forty percent'),
    ('1984%', 'one thousand nine hundred eighty four percent'),
    ('$1', 'one dollar'),
    ('$5.20', 'five dollars twenty'),
    ('£0.50', 'fifty pence'),
    ('€3', 'three euros'),
    ('10:30', 'ten thirty'),
    ('9:05', 'nine oh five'),
    ('7:00', "seven o'clock"),
    ('1234567890123456', 'one two three four five six seven eight nine zero one two three four five six'),
  ],
)
def test_numbers_are_read_as_written(written, said):
  assert ' '.join(in_words(written)) == said


@pytest.mark.parametrize('written', ['', '$', '-', '.', 'a', '1a', '1,00', '1.2.3', '12:75'])
def test_other_things_are_no_numbers(written):
  assert in_words(written) is None


def test_all_numbers_have_different_words():
  numbers = [*range(1200), 10**6, 10**6 + 1, 10**9, 10**12, 10**15 - 1]
  assert len({' '.join(cardinal(number)) for number in numbers}) == len(numbers)
  assert len({' '.join(ordinal(number)) for number in numbers}) == len(numbers)
