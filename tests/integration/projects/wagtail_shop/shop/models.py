"""The shop's products."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from wagtail.api import APIField
from wagtail.models import Page


class ProductPage(Page):
    """A product's page."""

    sku = models.CharField(max_length=100, unique=True)
    image_url = models.URLField(max_length=1000, blank=True)

    api_fields: ClassVar = [APIField("sku"), APIField("image_url")]
