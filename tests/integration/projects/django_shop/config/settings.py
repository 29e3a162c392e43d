"""The least that Django runs with."""

from __future__ import annotations

import os

SECRET_KEY = "only-for-the-tests"
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "config.urls"
INSTALLED_APPS = ["shop"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware", "django.middleware.csrf.CsrfViewMiddleware"]
USE_TZ = True

CELERY_BROKER_URL = CELERY_RESULT_BACKEND = os.environ["SHOP_BROKER_URL"]
CELERY_TASK_DEFAULT_QUEUE = "shop"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
