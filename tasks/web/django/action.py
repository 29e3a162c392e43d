"""An admin action for any model of the host's: "Generate images…".

>>> class ProductAdmin(GenerateImagesMixin, admin.ModelAdmin):           # doctest: +SKIP
...     imagechord_template = "product_hero"
...
...     def imagechord_row(self, product):
...         return {"sku": product.sku, "name": product.title, "color": product.colour}

It is there for whoever has the permission ``imagechord.change_batch``. Before anything is started, a page in between
asks for template, model and budget, and shows what the rows will cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IS_POPUP_VAR
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html

from tasks.services import current_services
from tasks.sources.text import as_text
from tasks.web.django.links import link, page_url
from tasks.web.django.order import GenerateForm, Order
from tasks.web.django.words import say, say_later


class GenerateImagesMixin(admin.ModelAdmin):
    """``imagechord_template`` and ``imagechord_model`` are what the page proposes."""

    imagechord_template: str | None = None
    imagechord_model: str | None = None

    def imagechord_row(self, obj: Model) -> Mapping[str, Any]:
        """The row that a record becomes: column → value. By default every field of the record, under its name."""
        fields = ((field.name, field.value_from_object(obj)) for field in obj._meta.concrete_fields)  # noqa: SLF001 – Django's documented way
        return {name: str(value) if as_text(value) is None else value for name, value in fields}

    def has_generate_images_permission(self, request: HttpRequest) -> bool:
        """Whether this user may spend money on pictures."""
        return bool(request.user.has_perm("imagechord.change_batch"))

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """The host's, and ours, whatever the host's class says in ``actions``."""
        actions: dict[str, Any] = super().get_actions(request)
        if IS_POPUP_VAR in request.GET or not self.has_generate_images_permission(request):
            return actions
        return actions | {"generate_images": self.get_action("generate_images")}

    @admin.action(description=say_later("generate"))
    def generate_images(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        """The page in between; once its plan is started, back to the list with a message."""
        order = Order(current_services(), queryset, self.imagechord_row, self._asked(request, queryset))
        seen = request.POST.get("seen") if "start" in request.POST else None
        if order.is_started(seen=seen, key=request.POST.get("key")):
            self._announce(request, order)
            return None
        return TemplateResponse(request, "imagechord/admin/generate.html", self._page(request, queryset, order))

    def _asked(self, request: HttpRequest, queryset: QuerySet) -> GenerateForm:
        """The form as it was sent; until it is, with what this admin proposes."""
        initial = {
            "template": self.imagechord_template,
            "model": self.imagechord_model,
            "name": str(queryset.model._meta.verbose_name_plural),  # noqa: SLF001 – Django's documented way
        }
        sent = request.POST if "seen" in request.POST else None
        return GenerateForm(current_services().settings.catalogue, sent, initial=initial)

    def _page(self, request: HttpRequest, queryset: QuerySet, order: Order) -> dict[str, Any]:
        """What the page in between shows; it comes back to this action with the same records."""
        return {
            **self.admin_site.each_context(request),
            "title": say("generate_title"),
            "opts": queryset.model._meta,  # noqa: SLF001 – Django's documented way
            "media": self.media + order.form.media,
            "order": order,
            "select_across": request.POST.get("select_across", "0"),
            "checkbox": ACTION_CHECKBOX_NAME,
            "chosen": request.POST.getlist(ACTION_CHECKBOX_NAME),
            "chosen_words": say("chosen", count=f"{order.count:,}"),
            "words": {name: say(name) for name in ("show_plan", "start", "plan", "first_prompts", "problems")},
        }

    def _announce(self, request: HttpRequest, order: Order) -> None:
        page = link(page_url(f"batches/{order.batch_id}"), order.batch_id)
        self.message_user(request, format_html(say("started"), batch=page), messages.SUCCESS)
        if idle := order.unserved_queues():
            self.message_user(request, say("no_worker", queues=", ".join(idle)), messages.WARNING)
