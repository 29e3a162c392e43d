"""``/api/products/{sku}/``: what a shop writes with Django REST framework in twenty lines."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers, viewsets
from rest_framework.authentication import TokenAuthentication
from rest_framework.permissions import IsAuthenticated
from rest_framework.routers import DefaultRouter
from wagtail.api.v2.router import WagtailAPIRouter
from wagtail.api.v2.views import PagesAPIViewSet
from wagtail.models import Page

from shop.models import ProductPage


class ProductSerializer(serializers.ModelSerializer):
    """A product as the API shows and takes it."""

    class Meta:
        """Every product has a title and a sku; a picture it may get."""

        model = ProductPage
        fields: ClassVar = ["sku", "title", "image_url"]


class ProductViewSet(viewsets.ModelViewSet):
    """Products by sku. A change is a revision that is published at once, as an editor's would be."""

    queryset = ProductPage.objects.all()
    serializer_class = ProductSerializer
    authentication_classes: ClassVar = [TokenAuthentication]
    permission_classes: ClassVar = [IsAuthenticated]
    lookup_field = "sku"
    lookup_value_regex = ".+"  # WSGI unquotes paths, and some keys have slashes

    def perform_create(self, serializer: Any) -> None:
        """Put the product below the root."""
        Page.get_first_root_node().add_child(instance=ProductPage(**serializer.validated_data))

    def perform_update(self, serializer: Any) -> None:
        """Change the page, and publish the change."""
        page = serializer.instance
        for name, value in serializer.validated_data.items():
            setattr(page, name, value)
        page.save_revision(user=self.request.user).publish()


products = DefaultRouter()
products.register("products", ProductViewSet)

site = WagtailAPIRouter("site")
site.register_endpoint("pages", PagesAPIViewSet)
