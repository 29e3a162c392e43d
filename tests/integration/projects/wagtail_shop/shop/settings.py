"""As small as a Wagtail site gets: pages, tokens, one API to write with and Wagtail's own to read from."""

from __future__ import annotations

import os

SECRET_KEY = "not a secret: this project lives for the length of a test"
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "shop.urls"
USE_TZ = True
STATIC_URL = "/static/"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["SHOP_DATABASE"]}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
WAGTAIL_SITE_NAME = "shop"
INSTALLED_APPS = [
    "shop",
    "wagtail.api.v2",
    "wagtail.users",
    "wagtail.images",
    "wagtail.documents",
    "wagtail.search",
    "wagtail.admin",
    "wagtail",
    "modelcluster",
    "taggit",
    "rest_framework",
    "rest_framework.authtoken",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
]
# The tables as they are now: Wagtail's two hundred migrations take longer than all tests of it.
_OF_WAGTAIL = ("core", "admin", "users", "images", "docs", "search", "api_v2")
_OF_OTHERS = ("auth", "authtoken", "contenttypes", "modelcluster", "sessions", "shop", "taggit")
MIGRATION_MODULES = dict.fromkeys([*(f"wagtail{name}" for name in _OF_WAGTAIL), *_OF_OTHERS])
