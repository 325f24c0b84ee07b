"""Pages of the clinic itself, its health checks, and its error pages."""

from django.http import HttpResponse


def live(request):
    return HttpResponse("ok")


def ready(request):
    return HttpResponse("ok")


def csrf_failure(request, reason=""):
    return HttpResponse("csrf", status=403)
