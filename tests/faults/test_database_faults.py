"""The control and the jobs database go away while a platform serves and deploys (fault 32)."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest

from tests.prober import Prober
from tests.running_platform import QUICK, eventually
from tests.running_studio import WORKFLOW, running_studio
from tests.servers import postgres_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# A database that stays away for a minute is no other case than one that outlives the lease, here made short.
IMPATIENT = {**QUICK, "lease_seconds": 2.0, "lease_renew_seconds": 0.5, "bake_seconds": 2.0}
AWAY_SECONDS = 8.0


def test_without_the_control_database_calls_go_on_and_the_deployment_ends_after_its_return(
    tmp_path: Path,
) -> None:
    with (
        postgres_server() as database,
        running_studio(tmp_path, {**IMPATIENT, "database_url": database.url}) as studio,
    ):
        studio.deploy()
        with Prober(studio.endpoint(), studio.token(), WORKFLOW) as prober:
            (studio.plugin / "words.txt").write_text("second words")
            studio.platform.cli("deploy", studio.project, "--no-wait")
            eventually(lambda: studio.state(2) in ("proving", "rotating", "baking"), "the rotation")
            database.crash()
            began = time.monotonic()
            asked = studio.platform.cli("deployment", "list", studio.project, code=None)
            assert asked.code != 0
            assert "database" in asked.err
            assert "Traceback" not in asked.err
            while time.monotonic() - began < AWAY_SECONDS:
                prober.wait_for_results(3)
            database.start()
            eventually(lambda: studio.state(2) == "succeeded", "the end of deployment 2", 90.0)
            prober.wait_for_results(3)
        prober.assert_nothing_was_lost({f"{words} words with stampling 1.0" for words in ("first", "second")})
        assert studio.call(studio.token()) == "second words with stampling 1.0"
        eventually(lambda: len(studio.live()) == 1, "exactly one live instance")
        record = studio.platform.json("deployment", "show", studio.project, "2")
        done = Counter((e["kind"], e["subject"]) for e in record["events"] if e["result"] == "ok")
        assert done["Switch", ""] <= 1, "no step is recorded as done twice"
