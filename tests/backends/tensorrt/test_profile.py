"""The shapes that an engine takes."""

from __future__ import annotations

from edge_lpr.backends.tensorrt.profile import Profile


def test_profiles_hold_their_range() -> None:
    profile = Profile((2, 48, 320, 3), (8, 48, 320, 3), (8, 48, 320, 3))
    assert profile.holds((2, 48, 320, 3)) and profile.holds((8, 48, 320, 3))
    assert not profile.holds((1, 48, 320, 3)) and not profile.holds((9, 48, 320, 3))
    assert not profile.holds((2, 48, 320))
    assert str(profile) == "2–8×48×320×3"
