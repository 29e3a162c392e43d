"""``python serve.py PORT TOKEN``: make the shop's database, and serve it."""

from __future__ import annotations

import os
import sys

import django
import waitress
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application


def prepare(token: str) -> None:
    """Tables, the root of the pages, and an editor with a token."""
    from django.contrib.auth import get_user_model
    from rest_framework.authtoken.models import Token
    from wagtail.models import Locale, Page, Site

    call_command("migrate", run_syncdb=True, verbosity=0)
    Locale.objects.create(language_code="en")
    root = Page.add_root(title="Shop", slug="shop")
    Site.objects.create(hostname="127.0.0.1", root_page=root, is_default_site=True)
    editor = get_user_model().objects.create_superuser("imagechord")
    Token.objects.create(user=editor, key=token)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
    django.setup()
    prepare(sys.argv[2])
    waitress.serve(get_wsgi_application(), host="127.0.0.1", port=int(sys.argv[1]), threads=4)
