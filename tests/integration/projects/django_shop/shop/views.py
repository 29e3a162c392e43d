"""A Django shop that lets imagechord make its pictures."""

from __future__ import annotations

import json

from celery import current_app
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from shop.models import Product
from shop.tasks import parcel, receipt
from tasks.batches import status, submit


@csrf_exempt
def pictures(request: HttpRequest) -> JsonResponse:
    """The ten-line view: rows in, batch out, at once."""
    batch = submit(json.loads(request.body), template="product_hero", model="preview")
    return JsonResponse({"batch": batch}, status=202)


def progress(_request: HttpRequest, batch: str) -> JsonResponse:
    """How many are published by now."""
    return JsonResponse({"published": status(batch).published})


@csrf_exempt
def orders(_request: HttpRequest, order: str) -> JsonResponse:
    """The shop's own work, on its own queue."""
    sent = [task.delay(order) for task in (receipt, parcel)]
    return JsonResponse({"results": [each.get(timeout=20) for each in sent], "current_app": current_app.main})


def product(_request: HttpRequest, sku: str) -> JsonResponse:
    """What a customer sees of a product."""
    return JsonResponse({"image_url": Product.objects.get(sku=sku).image_url})
