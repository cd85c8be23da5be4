"""Settings of the whole test run."""

from __future__ import annotations

import os

# Before Keras is imported anywhere.
os.environ.setdefault("KERAS_BACKEND", "jax")
# Commands keep programs in the user's folder, tests do not.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"

from hypothesis import HealthCheck, settings

# The same examples in every run: a failure can be repeated, and noise is no failure.
settings.register_profile(
    "coloss",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("coloss")
