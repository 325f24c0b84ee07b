"""The site with one page that fails, with a patient's words in the exception and its frame."""

from importlib import import_module

from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from clinic.wsgi import application

__all__ = ["application"]


@csrf_exempt
def fail(request):
    words = request.POST.get("message", "")
    try:
        return {}[words]
    except KeyError as error:
        raise ValueError(f"cannot store {words}, ZZQName") from error


import_module("clinic.urls").urlpatterns.insert(0, path("fails/", fail))
