"""List, item and insert, as a Django REST tutorial writes them."""

from django.utils.timezone import now
from rest_framework import serializers, viewsets
from rest_framework.pagination import LimitOffsetPagination

from .models import Music


class MusicSerializer(serializers.ModelSerializer):
    days_since_created = serializers.SerializerMethodField()

    class Meta:
        model = Music
        fields = ["id", "song", "singer", "last_modify_date", "created", "days_since_created"]

    def get_days_since_created(self, music):
        return (now() - music.created).days


class Pages(LimitOffsetPagination):
    # Without ?limit= the whole list.
    default_limit = None


class MusicViewSet(viewsets.ModelViewSet):
    queryset = Music.objects.all()
    serializer_class = MusicSerializer
    pagination_class = Pages
