"""What the command refuses."""

from __future__ import annotations

import pytest

from bench.payloads.__main__ import main


@pytest.mark.parametrize(("option", "value"), [("--networks", "lan,moon"), ("--transports", "tcp,pigeon")])
def test_a_name_that_is_not_known_is_refused_with_those_that_are(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([option, value]) == 2
    assert f"'{value.partition(',')[2]}' is none of" in capsys.readouterr().err
