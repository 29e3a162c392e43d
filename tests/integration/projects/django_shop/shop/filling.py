"""The shop's first day: tables, two people and five products."""

from __future__ import annotations

from django.contrib.auth.models import Permission, User
from django.core.management import call_command

from shop.models import Product

PASSWORD = "only-for-the-tests"


def fill() -> None:
    """``boss`` may do everything, ``clerk`` may sell."""
    call_command("migrate", run_syncdb=True, verbosity=0)
    User.objects.create_superuser("boss", password=PASSWORD)
    clerk = User.objects.create_user("clerk", password=PASSWORD, is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(content_type__app_label="shop"))
    for number in range(1, 6):
        Product.objects.create(sku=f"P-{number}", title=f"머그컵 {number}", colour="파랑", on_sale=number != 5)
