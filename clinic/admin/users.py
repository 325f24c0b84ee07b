"""Staff accounts and their roles. Whoever manages accounts cannot climb by them."""

import allauth.account.admin  # noqa: F401
import allauth.mfa.admin  # noqa: F401 - registers what is taken off again below
from allauth.account.internal.flows.reauthentication import (
    did_recently_reauthenticate,
    raise_if_reauthentication_required,
)
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django import forms
from django.apps import apps
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db.models import EmailField
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html

from clinic import audit
from clinic.mail_addresses import MailAddressFormField
from clinic.models import User
from clinic.staff import account, addresses, roles, sessions
from clinic.staff.access import ReadOnly

from .audit import RecordsChanges

# What these show is on a user's page here, or on the person's own sign-in pages.
apps.get_app_config("auth").verbose_name = "Staff and roles"
admin.site.unregister([EmailAddress, Authenticator, Group])


class OwnAddress:
    """For a form of an account: no two accounts have one address."""

    def clean_email(self):
        address = self.cleaned_data["email"]
        if addresses.taken(address, self.instance):
            raise forms.ValidationError(addresses.AddressTaken().message)
        return address


class StaffForm(OwnAddress, UserChangeForm):
    pass


class NewStaffForm(OwnAddress, AdminUserCreationForm):
    pass


@admin.register(User)
class StaffAdmin(RecordsChanges, UserAdmin):
    """Accounts are deactivated, never deleted: the audit record names them.

    Only a superuser makes superusers, sees single permissions, or changes a superuser's account.
    Others give and take the roles of roles.grantable_by() and never touch their own.
    """

    form, add_form = StaffForm, NewStaffForm
    list_display = ["username", "full_name", "email", "role_names", "is_active", "last_login"]
    list_filter = ["is_active", "groups"]
    filter_horizontal = []
    formfield_overrides = {EmailField: {"form_class": MailAddressFormField}}
    actions = ["reset_second_factor"]
    add_fieldsets = [
        (
            None,
            {
                "classes": ["wide"],
                "fields": [
                    "username",
                    "first_name",
                    "last_name",
                    "email",
                    "password1",
                    "password2",
                ],
                "description": "Give the person a role on the next page.",
            },
        )
    ]

    def get_queryset(self, request):
        return super().get_queryset(request).prefetch_related("groups")

    def get_fieldsets(self, request, obj=None):
        if obj is None:
            return self.add_fieldsets
        where = ""
        if obj.pk == request.user.pk:
            words = '<a href="{}">Change your own address here</a>: it is verified first.'
            where = format_html(words, reverse("account_email"))
        rights = ["is_active", "is_staff", "groups"]
        if request.user.is_superuser:
            rights += ["is_superuser", "user_permissions"]
        return [
            (None, {"fields": ["username", "password"]}),
            ("Person", {"fields": ["first_name", "last_name", "email"], "description": where}),
            ("May sign in, and as what", {"fields": [*rights, "open_sessions"]}),
            ("Dates", {"fields": ["last_login", "date_joined"]}),
        ]

    def get_readonly_fields(self, request, obj=None):
        fields = ["last_login", "date_joined", "open_sessions"]
        if obj is not None and obj.pk == request.user.pk:
            fields.append("email")  # one's own is changed where it is verified
        if obj is not None and obj.pk == request.user.pk and not request.user.is_superuser:
            fields += ["is_active", "is_staff", "groups"]
        return fields

    def formfield_for_manytomany(self, db_field, request, **kwargs):
        if db_field.name == "groups" and not request.user.is_superuser:
            kwargs["queryset"] = Group.objects.filter(name__in=roles.grantable_by(request.user))
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def save_model(self, request, obj, form, change):
        if not change:
            obj.is_staff = True  # the only accounts there are
        address = obj.email
        if change and "email" in form.changed_data:
            obj.email = form.initial["email"]
        super().save_model(request, obj, form, change)
        if address != obj.email:
            addresses.change(obj, address, by=request.user)
        else:
            addresses.mirror(obj)
        if change and "is_active" in form.changed_data:
            sessions.end(obj, by=request.user)  # for good: also when the sign-in is given back

    def save_related(self, request, form, formsets, change):
        """Keep the groups that the form could not show."""
        user, field = form.instance, form.fields.get("groups")
        hidden = []
        if change and field is not None:
            hidden = list(user.groups.exclude(pk__in=field.queryset.values("pk")))
        super().save_related(request, form, formsets, change)
        user.groups.add(*hidden)

    def has_change_permission(self, request, obj=None):
        if obj is not None and obj.is_superuser and not request.user.is_superuser:
            return False
        return super().has_change_permission(request, obj)

    def has_delete_permission(self, request, obj=None):
        return False

    def get_urls(self):
        page = self.admin_site.admin_view(self.sessions_page)
        return [path("<int:pk>/sessions/", page, name="clinic_user_sessions"), *super().get_urls()]

    def sessions_page(self, request, pk):
        """Show where somebody is signed in, and the buttons that end it."""
        user = get_object_or_404(self.get_queryset(request), pk=pk)
        if not self.has_change_permission(request, user):
            raise PermissionDenied
        if request.method == "POST":
            account.end(request, user)
            return redirect("admin:clinic_user_sessions", pk)
        context = {
            **self.admin_site.each_context(request),
            "title": "Where they are signed in",
            "person": user,
            "rows": sessions.of(user),
            "here": request.session.session_key,
        }
        return TemplateResponse(request, "admin/clinic/user/sessions.html", context)

    def changelist_view(self, request, extra_context=None):
        return self._prove(request) or super().changelist_view(request, extra_context)

    def changeform_view(self, request, object_id=None, form_url="", extra_context=None):
        return self._prove(request, secret=object_id is None) or super().changeform_view(
            request, object_id, form_url, extra_context
        )

    def user_change_password(self, request, id, form_url=""):
        """One's own password is changed where the old one is asked for."""
        if id == str(request.user.pk):
            return redirect("account_change_password")
        if asked := self._prove(request, secret=True):
            return asked
        response = super().user_change_password(request, id, form_url)
        if request.method == "POST" and response.status_code == 302:
            sessions.end(User.objects.get(pk=id), by=request.user)
        return response

    def _prove(self, request, *, secret=False):
        """Ask a manager for proof before an account changes; None when there is nothing to ask.

        What was typed waits in the session meanwhile. A new password (``secret``) must not: its
        page asks before it shows the form, and opens anew.
        """
        if self.has_change_permission(request) and (secret or request.method == "POST"):
            if secret and request.method == "POST" and not did_recently_reauthenticate(request):
                return redirect(request.path)
            raise_if_reauthentication_required(request, app="")
        return None

    @admin.display(description="signed in")
    def open_sessions(self, user):
        page = reverse("admin:clinic_user_sessions", args=[user.pk])
        words = '{} now. <a href="{}">See where, and end it</a>'
        return format_html(words, sessions.of(user).count(), page)

    @admin.display(description="name", ordering="last_name")
    def full_name(self, user):
        return user.get_full_name()

    @admin.display(description="roles")
    def role_names(self, user):
        if user.is_superuser:
            return "Superuser"
        return ", ".join(group.name for group in user.groups.all()) or "None"

    @admin.action(description="Reset the second factor (lost phone or key)", permissions=["change"])
    def reset_second_factor(self, request, queryset):
        for user in queryset:
            if not self.has_change_permission(request, user) or user == request.user:
                messages.error(request, f"You cannot reset the second factor of {user}.")
                continue
            Authenticator.objects.filter(user=user).delete()
            audit.record(audit.Action.SECOND_FACTOR_RESET, user, by=request.user)
            messages.success(request, f"{user} sets up a new second factor at the next sign-in.")


@admin.register(Group)
class RoleAdmin(ReadOnly, GroupAdmin):
    """Roles are read here and written in clinic/staff/roles.py, so that every site means the same."""

    list_display = ["name"]
