"""The rich text editor inside the admin, under the site's strict security policy."""

from django import forms
from js_asset import Media


class NonceMediaMixin:
    """Give the editor's import map the page's nonce, which Django 5.2 does not do itself."""

    class Media:
        css = {"all": ["conditions/editor.css"]}
        js = ["conditions/editor.js"]

    def render_change_form(self, request, context, *args, **kwargs):
        media = Media.from_media(context["media"])
        context["media"] = media.with_nonce(str(request.csp_nonce))
        return super().render_change_form(request, context, *args, **kwargs)


class PositionedFormSet(forms.BaseInlineFormSet):
    """New rows without a position go to the end."""

    def save_new(self, form, commit=True):
        if not form.cleaned_data.get("position"):
            used = [f.cleaned_data.get("position") or 0 for f in self.forms if f.has_changed()]
            used += [row.position for row in self.get_queryset()]
            form.instance.position = max(used, default=0) + 1
            form.cleaned_data["position"] = form.instance.position
        return super().save_new(form, commit=commit)
