"""Image providers: one file each behind :mod:`tasks.providers.base`."""
