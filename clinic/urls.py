"""Composition root: which address belongs to which room."""

from allauth.account.decorators import secure_admin_login
from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin
from django.urls import include, path

from . import views

admin.site.login = secure_admin_login(admin.site.login)

urlpatterns = [
    path("health/live", views.live),
    path("health/ready", views.ready),
    path("admin/", admin.site.urls),
    path("account/2fa/", include("allauth.mfa.urls")),
    path("account/", include("allauth.account.urls")),
]
