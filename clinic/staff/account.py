"""Pages of one's own account, beside those of the sign-in library."""

from allauth.account.decorators import reauthentication_required
from allauth.decorators import rate_limit
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import redirect, render

from . import addresses, sessions
from .forms import AddressForm


@login_required
@reauthentication_required(allow_get=True)
@rate_limit(action="manage_email")
def address(request):
    """One address per account; a new one counts once its link was opened and pressed."""
    form = AddressForm(request.POST or None, user=request.user)
    if request.method == "POST" and form.is_valid():
        addresses.ask(request.user, form.cleaned_data["email"])
        words = "We sent a link to {}. Open it within an hour, in this browser. Until then nothing changes."
        messages.success(request, words.format(form.cleaned_data["email"]))
        return redirect("account_email")
    return render(request, "clinic/staff_address.html", {"form": form})


@login_required
def confirm_address(request, token):
    """Open the link in the mail to the new address; pressing the button makes it count."""
    new = addresses.asked(token, request.user)
    if new and request.method == "POST":
        try:
            addresses.change(request.user, new, by=request.user)
        except addresses.AddressTaken as error:
            messages.error(request, error.message)
        else:
            messages.success(request, f"Your address is now {new}. We told the old one.")
        return redirect("account_email")
    return render(
        request, "clinic/staff_address_confirm.html", {"new": new}, status=200 if new else 410
    )


@login_required
def open_sessions(request):
    """Show where this person is signed in; each can be ended, or all but this one."""
    if request.method == "POST":
        end(request, request.user, but=request.session.session_key)
        return redirect("staff_sessions")
    here = request.session.session_key
    context = {"rows": sessions.of(request.user), "here": here}
    return render(request, "clinic/staff_sessions.html", context)


def end(request, user, *, but=None):
    """End what the pressed button names: one session, or all of them ``but`` one."""
    which = request.POST.get("end", "")
    if which == "all":
        number = sessions.end(user, by=request.user, but=but)
    elif which.isdecimal() and len(which) < 19:
        number = sessions.end(user, by=request.user, only=int(which))
    else:
        number = 0
    messages.success(request, f"Ended: {number}.")
