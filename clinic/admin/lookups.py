"""Which ``?field__lookup=`` of an address a list of the admin answers."""

_ENDINGS = ("", "__exact", "__id__exact", "__isnull")


class OfferedLookups:
    """For a ModelAdmin: only what the list's own filters ask, anything else is a bad request.

    Django answers a lookup on any field of the model: ``?phone__contains=`` would tell by its rows
    what the list does not show, put a guess into an address, and a regex could take all day.
    """

    def lookup_allowed(self, lookup, value, request):
        filters = self.get_list_filter(request)
        offered = {
            f"{name}{ending}" for name in filters if isinstance(name, str) for ending in _ENDINGS
        }
        offered |= {one.parameter_name for one in filters if not isinstance(one, str)}
        return lookup in offered and super().lookup_allowed(lookup, value, request)
