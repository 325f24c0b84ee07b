from django.apps import AppConfig


class ClinicConfig(AppConfig):
    name = "clinic"

    def ready(self):
        from . import checks  # noqa: F401 - registers the start-up checks
