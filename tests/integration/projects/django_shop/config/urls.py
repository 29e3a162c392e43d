"""The project's addresses."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from shop import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("products/<str:sku>", views.product),
    path("pictures", views.pictures),
    path("pictures/<str:batch>", views.progress),
    path("orders/<str:order>", views.orders),
    path("imagechord/", include("tasks.web.django.urls")),
]
