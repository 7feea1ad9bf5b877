"""A song, in a table of the same shape as ours."""

from django.db import models


class Music(models.Model):
    song = models.TextField()
    singer = models.TextField()
    last_modify_date = models.DateTimeField(auto_now=True)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "music"
        db_table = "music"
        ordering = ["id"]
