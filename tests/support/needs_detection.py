"""What tests of detection share."""

from __future__ import annotations

import pytest

from mixssl.utils.detection import missing_for_detection

MISSING = missing_for_detection()
needs_detection = pytest.mark.skipif(MISSING is not None, reason=f"{MISSING}")
"""Skips, with the reason, where mmdet is absent; `make test` installs it."""
