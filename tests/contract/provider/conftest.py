"""Failures inside the shared suite are to be as readable as in a test module."""

import pytest

pytest.register_assert_rewrite("tests.contract.provider.suite")
