"""Where the shop writes, and where its front-end reads."""

from __future__ import annotations

from django.urls import include, path

from shop.api import products, site

urlpatterns = [path("api/", include(products.urls)), path("site/", site.urls)]
