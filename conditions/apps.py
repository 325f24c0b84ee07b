from django.apps import AppConfig


class ConditionsConfig(AppConfig):
    name = "conditions"
    verbose_name = "Pages and conditions"

    def ready(self):
        from clinic import public_words
        from clinic.operations import setup

        from . import checks  # noqa: F401 - checks registers the start-up checks
        from .publishing import signed_page_step
        from .text_checks import overclaims

        setup.MORE.append(signed_page_step)
        public_words.CHECKS.append(overclaims.claims)
