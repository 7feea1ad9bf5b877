"""The one resource."""

from music.views import MusicViewSet
from rest_framework.routers import SimpleRouter

router = SimpleRouter()
router.register("api/music", MusicViewSet)
urlpatterns = router.urls
