"""Static files under hashed names once they are collected, under plain names before."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class CollectedOrPlain(CompressedManifestStaticFilesStorage):
    """Ask the manifest where there is one.

    A fresh checkout under ``runserver`` has none: its files come straight from their folders
    (WHITENOISE_USE_FINDERS), where Django's own class would answer every page with a bare 500.
    """

    def stored_name(self, name):
        return super().stored_name(name) if self.hashed_files else name
