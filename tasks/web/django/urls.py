"""The addresses of a Django project's imagechord.

>>> path("imagechord/", include("tasks.web.django.urls"))        # doctest: +SKIP

``WEBHOOK_BASE_URL`` is then ``https://your-shop.example/imagechord``.
"""

from __future__ import annotations

from tasks.web.django.views import addresses
from tasks.web.site import site

app_name = "imagechord"
urlpatterns = addresses(site())
