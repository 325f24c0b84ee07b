"""The shape of what patients send. Rules about time and status live in bookings.lifecycle."""

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Field, Layout
from django import forms
from django.utils.translation import gettext_lazy as _
from phonenumber_field.formfields import PhoneNumberField

from clinic.mail_addresses import MailAddressFormField
from clinic.models import VisitType
from clinic.plain_text import PlainTextField
from conditions import editions

PHONE_ERROR = _("Enter a phone number with its country code, like +1 323 555 0142")
EMAIL_ERROR = _("Enter your e-mail like name@example.com")
CONSENT_ERROR = _("Tick the box so that we may use your details")
CONSENT_VERSION = "2026-11"
OTHER = "other"  # "Something else, or not sure": no condition


def _helper(*fields):
    helper = FormHelper()
    helper.form_tag = False
    helper.disable_csrf = True  # the page's own <form> carries the token
    helper.layout = Layout(*fields)
    return helper


class ConcernForm(forms.Form):
    """Step 1: what it is about, and how to talk."""

    condition = forms.ChoiceField(
        label=_("What would you like help with?"),
        widget=forms.RadioSelect,
        error_messages={
            "required": _("Choose what you would like help with"),
            "invalid_choice": _("Choose one of the concerns in the list"),
        },
    )
    visit_type = forms.ChoiceField(
        label=_("How would you like to talk?"),
        widget=forms.RadioSelect,
        error_messages={
            "required": _("Choose how you would like to talk"),
            "invalid_choice": _("Choose one of the ways in the list"),
        },
    )

    def __init__(self, *args, concerns, or_other, visit_types, **kwargs):
        super().__init__(*args, **kwargs)
        other = [(OTHER, _("Something else, or not sure"))] if or_other else []
        self.fields["condition"].choices = [(c.slug, c.name) for c in concerns] + other
        self.fields["visit_type"].choices = [
            (value, label) for value, label in VisitType.choices if value in visit_types
        ]


class RedFlagsForm(forms.Form):
    """The emergency signs: nothing is chosen beforehand."""

    signs = forms.ChoiceField(
        choices=[("none", _("No, none of these")), ("yes", _("Yes, or I am not sure"))],
        widget=forms.RadioSelect,
        label=_("Do you have any of these signs now?"),
        error_messages={
            "required": _("Choose “No, none of these”, or “Yes, or I am not sure”"),
            "invalid_choice": _("Choose “No, none of these”, or “Yes, or I am not sure”"),
        },
    )
    # The key of the edition that was shown. Pages from before this field existed send none.
    edition = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args, asked, **kwargs):
        super().__init__(*args, **kwargs)
        self.asked = asked

    def clean(self):
        """ "None of these" holds only for the signs that were shown."""
        cleaned = super().clean()
        shown = editions.asked_in(cleaned["edition"]) if cleaned.get("edition") else self.asked
        if shown.signs != self.asked.signs and cleaned.get("signs") == "none":
            self.add_error("signs", _("These signs have just changed. Please read them again"))
        return cleaned


class _PersonForm(forms.Form):
    """What both ways of asking need to know about a person."""

    name = PlainTextField(
        label=_("Full name"),
        max_length=80,
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
        error_messages={
            "required": _("Enter your name"),
            "max_length": _(
                "Your name can have %(limit_value)d characters; this has %(show_value)d"
            ),
        },
    )
    email = MailAddressFormField(
        label=_("E-mail"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "email", "inputmode": "email"}),
        help_text=_("We send your booking and the link to change it here."),
        error_messages={"required": EMAIL_ERROR, "invalid": EMAIL_ERROR},
    )
    phone = PhoneNumberField(
        label=_("Phone, with country code"),
        widget=forms.TextInput(
            attrs={"autocomplete": "tel", "type": "tel", "class": "phone-width"}
        ),
        error_messages={"required": PHONE_ERROR, "invalid": PHONE_ERROR},
    )
    language = forms.ChoiceField(
        label=_("Language for the consultation"),
        widget=forms.RadioSelect,
        error_messages={
            "required": _("Choose a language"),
            "invalid_choice": _("Choose one of the languages in the list"),
        },
    )
    message = PlainTextField(
        label=_("Anything we should know before the visit"),
        max_length=1000,
        required=False,
        lines=True,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_(
            "For example what you have tried. The front desk and your doctor read it. "
            "Please do not send test results here."
        ),
        error_messages={
            "max_length": _(
                "Please shorten this to %(limit_value)d characters; it has %(show_value)d"
            )
        },
    )
    # Only programs see it. A plain Field takes anything: it must never show a person an error.
    website = forms.Field(label=_("Leave this field empty"), required=False)
    consent = forms.BooleanField(
        label=_("I agree that the clinic uses these details to arrange my consultation."),
        error_messages={"required": CONSENT_ERROR},
    )

    def __init__(self, *args, languages, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["language"].choices = [(name, name) for name in languages]
        self.fields["language"].initial = languages[0]

    def clean_website(self):
        """Whether it was filled; what with does not matter."""
        return bool(self.cleaned_data["website"])


class DetailsForm(_PersonForm):
    """Step 3: who is coming."""

    def __init__(self, *args, visit_type, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["phone"].help_text = VisitType(visit_type).way.phone_hint
        self.helper = _helper(
            "name",
            "email",
            "phone",
            Field("language", template="bookings/_segments.html"),
            "message",
            Field("website", template="bookings/_leave_empty.html"),
            Field("consent", template="bookings/_consent.html"),
        )


class CallbackForm(_PersonForm):
    """“Ask us to call”: a phone number and good times instead of a chosen time."""

    call_when = PlainTextField(
        label=_("When is a good time to call?"),
        max_length=200,
        widget=forms.TextInput,
        help_text=_("For example weekday mornings, or after 16:00 on Fridays."),
        error_messages={
            "required": _("Tell us when is good, for example weekday mornings"),
            "max_length": _(
                "Please shorten this to %(limit_value)d characters; it has %(show_value)d"
            ),
        },
    )

    field_order = ["call_when", "name", "phone", "email", "language", "message", "consent"]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["email"].required = False
        self.fields["email"].help_text = _("Optional. We send a copy of your request here.")
        self.fields["phone"].help_text = _("We call you on this number.")
        self.helper = _helper(
            "call_when",
            "name",
            "phone",
            "email",
            Field("language", template="bookings/_segments.html"),
            "message",
            Field("website", template="bookings/_leave_empty.html"),
            Field("consent", template="bookings/_consent.html"),
        )


class SecondFactForm(forms.Form):
    """Proves that the reader of a manage link is the person who booked."""

    fact = PlainTextField(
        label=_("Your e-mail, or the last four digits of your phone number"),
        max_length=254,
        widget=forms.TextInput(attrs={"autocomplete": "off", "class": "phone-width"}),
        help_text=_(
            "We ask so that nobody else who sees the link can read or change your booking."
        ),
        error_messages={"required": _("Enter your e-mail, or the last four digits of your phone")},
    )

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.helper = _helper("fact")


class CancelForm(forms.Form):
    """Giving the time back; a reason is welcome and never needed."""

    reason = PlainTextField(
        label=_("Why are you cancelling?"),
        max_length=200,
        required=False,
        widget=forms.TextInput,
        error_messages={
            "max_length": _(
                "Please shorten this to %(limit_value)d characters; it has %(show_value)d"
            )
        },
    )

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.helper = _helper("reason")


class LostLinkForm(forms.Form):
    """Ask for a new manage link by mail."""

    email = MailAddressFormField(
        label=_("E-mail"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "email", "inputmode": "email"}),
        help_text=_("The address that you booked with."),
        error_messages={"required": EMAIL_ERROR, "invalid": EMAIL_ERROR},
    )

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.helper = _helper("email")
