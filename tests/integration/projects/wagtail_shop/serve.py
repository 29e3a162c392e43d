"""``python serve.py PORT TOKEN``: make the shop's database, and serve it."""

from __future__ import annotations

import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")

import django
import waitress
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application

django.setup()

from django.contrib.auth import get_user_model
from rest_framework.authtoken.models import Token
from wagtail.models import Locale, Page, Site


def prepare(token: str) -> None:
    """Tables, the root of the pages, and an editor with a token."""
    call_command("migrate", run_syncdb=True, verbosity=0)
    Locale.objects.create(language_code="en")
    root = Page.add_root(title="Shop", slug="shop")
    Site.objects.create(hostname="127.0.0.1", root_page=root, is_default_site=True)
    editor = get_user_model().objects.create_superuser("imagechord")
    Token.objects.create(user=editor, key=token)


prepare(sys.argv[2])
waitress.serve(get_wsgi_application(), host="127.0.0.1", port=int(sys.argv[1]), threads=4)
