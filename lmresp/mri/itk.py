"""SimpleITK without its (absent) types: one import for every step that registers, filters or resamples.

One thread, set for the whole process: the sums of mutual information depend on how they are split between threads.
"""

from __future__ import annotations

from typing import Any

import SimpleITK

sitk: Any = SimpleITK
sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
