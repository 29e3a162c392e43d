"""For a Django project: include ``tasks.web.django.urls``."""
