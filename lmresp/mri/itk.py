"""SimpleITK without its (absent) types: one import for every step that registers, filters or resamples."""

from __future__ import annotations

from typing import Any

import SimpleITK

sitk: Any = SimpleITK
