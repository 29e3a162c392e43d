"""What the shop sells."""

from __future__ import annotations

from django.db import models


class Product(models.Model):
    """One product; ``image_url`` is empty until its picture is published."""

    sku = models.CharField(max_length=50, unique=True)
    title = models.CharField(max_length=200)
    colour = models.CharField(max_length=50)
    image_url = models.CharField(max_length=500, blank=True)
    on_sale = models.BooleanField(default=True)

    def __str__(self) -> str:
        return self.title
