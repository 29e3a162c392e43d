"""Batches and images in Django's admin: looked at, never changed. What acts are the batch pages and the commands."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db import DatabaseError
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html_join

from tasks.core.money import format_usd
from tasks.services import current_services
from tasks.web.django.links import link, page_url
from tasks.web.django.models import Batch, Image
from tasks.web.django.words import say, say_later


class IdsFirst(Paginator):
    """Pages far behind are found by an index alone: an offset over whole rows reads all those before it."""

    def page(self, number: int) -> Any:
        """One page, as Django's own."""
        page = super().page(number)
        ids = list(page.object_list.values_list("pk", flat=True))
        page.object_list = self.object_list.filter(pk__in=ids)
        return page


class ReadOnlyAdmin(admin.ModelAdmin):
    """Nothing can be added, changed or deleted, and nothing is counted that is not shown."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    paginator = IdsFirst

    def has_add_permission(self, _request: HttpRequest) -> bool:
        """Batches begin elsewhere."""
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: object = None) -> bool:
        """Whoever may change batches does so on their pages."""
        return False

    def has_delete_permission(self, _request: HttpRequest, _obj: object = None) -> bool:
        """What was paid for stays on the books."""
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list; where the ledger cannot be read, the admin's first page with the reason."""
        try:
            return super().changelist_view(request, extra_context)
        except DatabaseError as error:
            self.message_user(request, say("no_ledger", error=error), messages.ERROR)
            return HttpResponseRedirect(reverse("admin:index", current_app=self.admin_site.name))


def usd(name: str, words: str) -> Any:
    """A column that shows micro-dollars as money."""

    @admin.display(description=say_later(words), ordering=name)
    def shown(_admin: object, row: Any) -> str:
        micros = getattr(row, name)
        return "–" if micros is None else format_usd(micros)

    return shown


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    """Batches, the newest first."""

    list_display = ("name", "id", "phase", "template", "total", "spent", "budget", "created_at", "page")
    list_filter = ("phase",)
    search_fields = ("name", "id")
    ordering = ("-created_at",)
    fields = (
        *("id", "name", "page", "progress", "source", "template", "phase", "priority", "total", "skipped", "round"),
        *("spent", "budget", "created_at", "started_at", "problems_"),
    )
    spent, budget = usd("spent_usd_micros", "spent"), usd("budget_usd_micros", "budget")

    @admin.display(description=say_later("page"))
    def page(self, batch: Batch) -> str:
        """A link to the batch's own page."""
        return link(page_url(f"batches/{batch.pk}"), batch.pk)

    @admin.display(description=say_later("progress"))
    def progress(self, batch: Batch) -> str:
        """How many images are in each state, each a link to them."""
        images = reverse("admin:imagechord_image_changelist", current_app=self.admin_site.name)
        counts = batch.image_set.order_by().values_list("state").annotate(Count("pk"))
        links = ((f"{images}?batch={batch.pk}&state__exact={state}", f"{count:,} {state}") for state, count in counts)
        return format_html_join(" · ", '<a href="{}">{}</a>', links) or "–"

    @admin.display(description=say_later("problems"))
    def problems_(self, batch: Batch) -> str:
        """Why it was refused, a line each."""
        return format_html_join("", "<div>{}</div>", ((problem,) for problem in batch.problems or ())) or "–"


class ModelFilter(admin.SimpleListFilter):
    """The models of the catalogue: asking the images would read them all."""

    title = say_later("model")
    parameter_name = "model"

    def lookups(self, _request: HttpRequest, _model_admin: object) -> list[tuple[str, str]]:
        """By their aliases."""
        return [(alias, alias) for alias in current_services().settings.catalogue.models]

    def queryset(self, _request: HttpRequest, queryset: QuerySet) -> QuerySet:
        """What of the images one model makes."""
        return queryset.filter(model=self.value()) if self.value() else queryset


@admin.register(Image)
class ImageAdmin(ReadOnlyAdmin):
    """Images, the newest first."""

    list_display = ("key", "variant", "state", "model", "batch_link", "cost", "error_class", "moved_at")
    list_filter = ("state", ModelFilter)
    list_select_related = ("batch",)
    search_fields = ("key",)
    ordering = ("-pk",)
    fields = (
        *("key", "variant", "batch_link", "page", "picture", "state", "template", "model", "asked_model", "prompt"),
        *("row_", "line", "attempts", "cost", "reused", "error_step", "error_class", "error_message", "cms_receipt"),
        *("created_at", "moved_at", "published_at"),
    )
    cost = usd("cost_usd_micros", "cost")

    @admin.display(description=say_later("batch"))
    def batch_link(self, image: Image) -> str:
        """A link to its batch, here."""
        to = reverse("admin:imagechord_batch_change", args=[image.batch_id], current_app=self.admin_site.name)
        return link(to, image.batch.name)

    @admin.display(description=say_later("page"))
    def page(self, image: Image) -> str:
        """A link to its own page."""
        return link(page_url(f"batches/{image.batch_id}/images/{image.pk}"), str(image.pk))

    @admin.display(description=say_later("image"))
    def picture(self, image: Image) -> str:
        """A link to the picture, where everybody can see it."""
        seen = (image.public_url or "").startswith(("https://", "http://"))
        return link(image.public_url, say("open")) if seen else image.public_url or "–"

    @admin.display(description=say_later("source_row"))
    def row_(self, image: Image) -> str:
        """Its source row, a column a line."""
        return format_html_join("", "<div>{}: {}</div>", (image.row or {}).items()) or "–"
