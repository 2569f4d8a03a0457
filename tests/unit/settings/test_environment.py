"""What the environment says that is no setting."""

from appliance.settings.environment import of_others


def test_programs_of_the_system_get_nothing_of_the_bundles() -> None:
    frozen = {
        "PATH": "/usr/bin", "LD_LIBRARY_PATH": "/opt/dash-appliance/releases/0.1.0/lib",
        "_PYI_APPLICATION_HOME_DIR": "/opt/dash-appliance/releases/0.1.0/lib", "_PYI_ARCHIVE_FILE": "/opt/…",
    }  # fmt: skip
    assert of_others(frozen) == {"PATH": "/usr/bin"}
    assert of_others(frozen | {"LD_LIBRARY_PATH_ORIG": ""}) == {"PATH": "/usr/bin"}
    had = frozen | {"LD_LIBRARY_PATH_ORIG": "/opt/oracle"}
    assert of_others(had) == {"PATH": "/usr/bin", "LD_LIBRARY_PATH": "/opt/oracle"}
    assert of_others({"LD_LIBRARY_PATH": "/opt/oracle"}) == {"LD_LIBRARY_PATH": "/opt/oracle"}  # from a checkout
