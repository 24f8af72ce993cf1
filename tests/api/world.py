"""The engine beneath the API, with honest workers that a test lets work; only the broker is a twin."""

from qanat.server.runs import clock
from qanat.server.runs.models import Step
from tests.integration.engine.world import Held, World


class Workers(World):
    """Workers of the runs that were asked for over HTTP."""

    def __init__(self) -> None:
        """Begin at the time at which the API's requests are."""
        super().__init__()
        self.now = clock.now()

    def finish_all(self) -> None:
        """Do all that there is to do."""
        self.work_until_quiet()

    def take(self, slug: str) -> Held:
        """Work until somebody holds the step ``slug``."""
        self.control()
        while self.messages:
            held = self.deliver(self.messages.pop(0))
            if held is None:
                self.control()
                continue
            if self.slug_of(held) == slug:
                return held
            self.finish(held)
            self.control()
        message = f"nobody was given {slug}"
        raise AssertionError(message)

    @staticmethod
    def slug_of(held: Held) -> str:
        """Return which step it is."""
        return Step.objects.get(pk=held.step_id).slug
