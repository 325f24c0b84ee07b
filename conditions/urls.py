from django.urls import path

from . import views

app_name = "conditions"

urlpatterns = [
    path("conditions/", views.index, name="index"),
    path("conditions/<slug:slug>/", views.condition, name="condition"),
    path("guides/<slug:slug>/", views.guide, name="guide"),
    path("preview/<str:signed>/", views.preview, name="preview"),
]
