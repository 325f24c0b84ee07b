from django.apps import AppConfig


class ClinicConfig(AppConfig):
    name = "clinic"

    def ready(self):
        from clinic.models import User

        from . import checks  # noqa: F401 - registers the start-up checks
        from .mail_addresses import validate

        # The account model is Django's own; so its forms and createsuperuser ask our rule as well.
        User._meta.get_field("email").validators.append(validate)
