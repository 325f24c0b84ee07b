from django.urls import path

from . import views

app_name = "conditions"

# The page of a condition is joined in clinic/urls.py, with what the apps above add to it.
urlpatterns = [
    path("conditions/", views.index, name="index"),
    path("guides/<slug:slug>/", views.guide, name="guide"),
    path("preview/<str:signed>/", views.preview, name="preview"),
]
