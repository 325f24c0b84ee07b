"""The editors' page of what the release says otherwise than this site."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.shortcuts import redirect
from django.template.response import TemplateResponse

from conditions import publishing
from conditions.starter import release

DONE = {
    "take": "Taken as a draft. Send the pages that show it for review; the site changes after that.",
    "keep": "Kept as it is here. This correction is not shown again.",
}


def corrections(model_admin, request):
    """List corrections; POST with ``key`` and ``act`` ("take" or "keep") decides about one."""
    if not model_admin.has_change_permission(request):
        raise PermissionDenied
    if request.method == "POST":
        verbs = {"take": release.take, "keep": release.keep}
        verb = verbs.get(request.POST.get("act"))
        if verb:
            try:
                verb(request.POST.get("key", ""), by=request.user)
                messages.success(request, DONE[request.POST["act"]])
            except publishing.PublishingError as error:
                messages.error(request, error.message)
        return redirect("admin:conditions_page_release")
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": "What this release corrects",
        "corrections": release.corrections(),
    }
    return TemplateResponse(request, "admin/conditions/page/release.html", context)
