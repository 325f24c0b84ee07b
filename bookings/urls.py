"""Addresses of booking; none of them holds a health word or, after one hop, a secret."""

from django.urls import path

from .views import booking, home, manage, steps

app_name = "bookings"

urlpatterns = [
    path("", home.home, name="home"),
    # /book/…: the steps
    path("book/", booking.start, name="start"),
    path("book/signs/", booking.red_flags, name="signs"),
    path("book/urgent/", booking.urgent, name="urgent"),
    path("book/time/", booking.time, name="time"),
    *(
        path(f"book/{step.name}/", booking.ask, {"step": step}, name=step.name)
        for step in steps.STEPS
        if step.form
    ),
    path("book/check/", booking.check, name="check"),
    path("book/call/", booking.call, name="call"),
    path("book/done/", booking.done, name="done"),
    # /booking/…: the manage link
    path("booking/", manage.manage, name="manage"),
    path("booking/choose/", manage.choose, name="choose"),
    path("booking/prove/", manage.verify, name="verify"),
    path("booking/reminders/", manage.reminders, name="reminders"),
    path("booking/cancel/", manage.cancel, name="cancel"),
    path("booking/reschedule/", manage.reschedule, name="reschedule"),
    path("booking/calendar.ics", manage.calendar, name="calendar"),
    path("booking/sign-out/", manage.sign_out, name="sign_out"),
    path("booking/lost/", manage.lost_link, name="lost_link"),
    path("booking/<str:secret>/", manage.open_link, name="open_link"),
]
