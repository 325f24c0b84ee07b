"""Which pages a practitioner may sign: rows on the practitioner's own page, for managers."""

from django import forms
from django.contrib import admin

from clinic.admin.practitioners import PractitionerAdmin
from conditions import publishing
from conditions.models import Condition, SigningRight

GUIDES = "guides"


def _subjects():
    guides = (GUIDES, "Guides, which speak of many conditions")
    return [("", "---------"), guides, *Condition.objects.values_list("pk", "name")]


def _condition(chosen):
    return None if chosen == GUIDES else Condition.objects.get(pk=chosen)


class SigningRightForm(forms.ModelForm):
    # An empty choice of the model's own field would be a row that nobody filled in.
    condition = forms.TypedChoiceField(label="pages about", choices=_subjects, coerce=_condition)

    class Meta:
        model = SigningRight
        fields = ["condition"]


class SigningRightFormSet(forms.BaseInlineFormSet):
    by = None

    def save_new(self, form, commit=True):
        return publishing.let_sign(self.instance, form.cleaned_data["condition"], by=self.by)

    def delete_existing(self, obj, commit=True):
        publishing.take_right(obj, by=self.by)


class SigningRightInline(admin.TabularInline):
    model = SigningRight
    form = SigningRightForm
    formset = SigningRightFormSet
    extra = 0

    def has_change_permission(self, request, obj=None):
        return False  # rights are given and taken

    def get_formset(self, request, obj=None, **kwargs):
        formset = super().get_formset(request, obj, **kwargs)
        formset.by = request.user  # the class is made anew for each request
        return formset


PractitionerAdmin.inlines = [*PractitionerAdmin.inlines, SigningRightInline]
