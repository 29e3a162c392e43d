"""The shop's admin."""

from __future__ import annotations

from django.contrib import admin

from shop.models import Product
from tasks.web.django.action import GenerateImagesMixin


@admin.register(Product)
class ProductAdmin(GenerateImagesMixin, admin.ModelAdmin):
    """Products, of which pictures can be made."""

    list_display = ("sku", "title", "image_url")
    list_filter = ("on_sale",)
    ordering = ("sku",)
    actions = ("withdraw",)
    imagechord_template = "product_hero"

    def imagechord_row(self, obj: Product) -> dict[str, str]:
        """What the prompt needs of a product."""
        return {"sku": obj.sku, "name": obj.title, "color": obj.colour}

    @admin.action(description="Withdraw")
    def withdraw(self, _request: object, queryset: object) -> None:
        """An action of the shop's own."""
        queryset.update(on_sale=False)
