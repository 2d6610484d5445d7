from lpips_jax.layers.shapes import pair, symmetric


def test_one_number_stands_for_both_axes():
  assert pair(3) == (3, 3) and pair((3, 1)) == (3, 1)


def test_padding_is_the_same_before_and_after():
  assert symmetric(1) == ((1, 1), (1, 1))
  assert symmetric((0, 3)) == ((0, 0), (3, 3))
