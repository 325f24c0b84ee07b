"""Composition root: which address belongs to which room."""

from allauth.account.decorators import secure_admin_login
from allauth.account.urls import urlpatterns as account_pages
from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin
from django.contrib.sitemaps.views import sitemap
from django.urls import include, path, re_path

from bookings.messaging import outbox
from bookings.views.home import booking_offer
from conditions import urls as conditions_urls
from conditions import views as conditions_views
from conditions.sitemaps import SITEMAPS

from . import languages, views
from .staff import account

admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

clinic_pages = [
    path("practitioners/", views.practitioners, name="practitioners"),
    path("contact/", views.contact, name="contact"),
    path("privacy/", views.privacy, name="privacy"),
    path("accessibility/", views.accessibility, name="accessibility"),
]

# A condition's page also shows when somebody is free, which only bookings can tell.
conditions_pages = [
    path(
        "conditions/<slug:slug>/",
        conditions_views.condition,
        {"more": booking_offer},
        name="condition",
    ),
    *conditions_urls.urlpatterns,
]

# With the library's own pages an account could have several addresses, and unverified ones.
REPLACED = {"account_email", "account_confirm_email"}

urlpatterns = [
    path("health/live", views.live),
    path("health/ready", views.ready, {"more": {"worker": outbox.health_problem}}),
    path("robots.txt", views.robots),
    path(".well-known/security.txt", views.security_txt),
    path(".well-known/change-password", views.change_password),
    path("sitemap.xml", sitemap, {"sitemaps": SITEMAPS}),
    path("admin/", admin.site.urls),
    path("account/2fa/", include("allauth.mfa.urls")),
    path("account/email/", account.address, name="account_email"),
    path("account/email/confirm/<str:token>/", account.confirm_address, name="confirm_address"),
    path("account/sessions/", account.open_sessions, name="staff_sessions"),
    path("account/", include([page for page in account_pages if page.name not in REPLACED])),
]
urlpatterns += [
    re_path(rf"^{code}/(?P<rest>.*)$", views.not_translated_yet) for code in languages.reserved()
]
# The default language has no prefix; every other language of the settings has one.
urlpatterns += i18n_patterns(
    path("", include("bookings.urls")),
    path("", include((conditions_pages, conditions_urls.app_name))),
    path("", include((clinic_pages, "clinic"))),
    prefix_default_language=False,
)

handler400 = "clinic.errors.bad_request"
handler500 = "clinic.errors.server_error"
