"""For shops that would rather receive a signal than name a function: ``CMS_HOOK=tasks.web.django.hooks:send_signal``.

>>> @receiver(image_published)                                           # doctest: +SKIP
... def show(sender, picture, **kwargs):
...     Product.objects.filter(sku=picture.key).update(image_url=picture.url)

``picture`` is a :class:`tasks.core.published.PublishedPicture`. What a receiver raises counts as what a hook raises
(:mod:`tasks.delivery.hook`), and the receivers after it are called at the next try. It is sent in the worker, which
has to know of the receivers: connect them in an ``AppConfig.ready``.
"""

from __future__ import annotations

from django.dispatch import Signal

image_published = Signal()
