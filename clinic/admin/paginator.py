"""Pages of long lists in the admin, without counting a million rows for a page of a hundred."""

from django.core.paginator import Paginator
from django.utils.functional import cached_property


class BoundedPaginator(Paginator):
    """Counts no further than ``LIMIT`` rows; whoever needs older ones narrows the list."""

    LIMIT = 5000

    @cached_property
    def count(self):
        return self.object_list[: self.LIMIT].count()
