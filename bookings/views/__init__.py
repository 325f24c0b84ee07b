"""Pages that patients see: home and conditions, the steps of booking, the manage page.

A view fetches, fills a form, calls one verb and redirects. It may import everything below it, and
neither the desk nor the admin.
"""
