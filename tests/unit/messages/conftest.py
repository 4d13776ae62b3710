from __future__ import annotations

from hypothesis import HealthCheck, settings

# machines that run other things at the same time are slow now and then, which proves nothing
settings.register_profile("messages", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("messages")
