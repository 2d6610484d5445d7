"""Buckets on loopback keep what they are given, byte for byte."""

import pytest

from lpips_jax.storage import stores


@pytest.mark.parametrize('store', ['gs', 's3'])
def test_objects_come_back_as_they_were(store, request):
  url = f'{request.getfixturevalue(f"{store}_bucket").url}/object'
  for content in (b'', b'a', b'a\r', b'a\n', b'a\r\n', b'\r\r\n\n\r', bytes(range(256)), b'a\n--b--\n\r'):
    stores.write(url, content)
    assert stores.read(url) == content
