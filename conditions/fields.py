"""Cleaning of editors' HTML: on save, and again when an edition is built."""

import re

import nh3
from django_prose_editor.fields import ProseEditorField

TAGS = {
    "p", "br", "strong", "ul", "ol", "li", "h3", "h4", "a", "sup", "dl", "dt", "dd",
    "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip
ATTRIBUTES = {"a": {"href"}, "th": {"colspan", "rowspan", "scope"}, "td": {"colspan", "rowspan"}}
SCHEMES = {"https", "mailto", "tel"}


def _attribute(tag, name, value):
    """Keep links that name their scheme or stay on this site; //host would leave it unseen."""
    if tag == "a" and name == "href" and re.match(r"[/\\]{2}|[/\\]\\", value.strip()):
        return None
    return value


def clean_html(html):
    """Return ``html`` with everything outside the short allow-list removed."""
    return nh3.clean(
        html or "",
        tags=TAGS,
        attributes=ATTRIBUTES,
        url_schemes=SCHEMES,
        attribute_filter=_attribute,
        link_rel=None,
    ).strip()


class ProseField(ProseEditorField):
    """Rich text that is clean in the database, whoever saved it.

    The editor's own field cleans in ``clean()`` only, so ``create()`` and loaders would store
    whatever they are given.
    """

    def __init__(self, *args, **kwargs):
        kwargs.setdefault("sanitize", clean_html)
        kwargs.setdefault(
            "extensions",
            {
                "Bold": True,
                "Heading": {"levels": [3, 4]},
                "BulletList": True,
                "OrderedList": True,
                "ListItem": True,
                "Link": {"protocols": ["https", "mailto", "tel"]},
                "Table": True,
                "TableRow": True,
                "TableHeader": True,
                "TableCell": True,
                "HardBreak": True,
            },
        )
        super().__init__(*args, **kwargs)

    def pre_save(self, model_instance, add):
        value = clean_html(getattr(model_instance, self.attname))
        setattr(model_instance, self.attname, value)
        return value
