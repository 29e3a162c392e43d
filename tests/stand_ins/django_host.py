"""The Django project that tests in this process share: Django is set up once for a process, whoever comes first."""

from __future__ import annotations

from typing import Any

import django
from django.conf import settings

APPS = (
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "tasks.web.django",
)


class DjangoShop:
    """The project's urlconf; what is served is put in here later."""

    urlpatterns: list[Any] = []  # noqa: RUF012 – Django wants a list, and takes it once


def set_up() -> None:
    """A shop with a database of its own, in memory, that wants a CSRF token with every POST."""
    if settings.configured:
        return
    settings.configure(
        SECRET_KEY="the-shops",
        ALLOWED_HOSTS=["127.0.0.1", "testserver"],
        ROOT_URLCONF=DjangoShop,
        INSTALLED_APPS=APPS,
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        MIGRATION_MODULES={name.rpartition(".")[2]: None for name in APPS},  # tables at once, without their history
        MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware"],
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        USE_TZ=True,
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
    )
    django.setup()
