"""The scenarios as a module, for tests that run parts of them in one process."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def scenarios():
    """scenarios.py, which two ranks run as a script."""
    spec = importlib.util.spec_from_file_location("parallel_scenarios", Path(__file__).parent / "scenarios.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
