def test_a_whole_configuration_is_valid(lictor, tmp_path):
    (tmp_path / "a.hcl").write_text('data_dir = "/tmp/x"')
    (tmp_path / "b.json").write_text('{"server": true, "bootstrap": true}')
    outcome = lictor("validate", str(tmp_path))
    assert (outcome.code, outcome.stdout) == (0, "Configuration is valid!\n")
    assert outcome.stderr == "bootstrap = true: do not enable unless necessary\n"
    outcome = lictor("validate", "-quiet", str(tmp_path))
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, "", "")


def test_what_is_wrong_is_told(lictor, tmp_path):
    (tmp_path / "a.hcl").write_text("bogus = 1")
    outcome = lictor("validate", str(tmp_path / "a.hcl"))
    assert (outcome.code, outcome.stdout) == (1, "")
    assert outcome.stderr.startswith("Config validation failed: failed to parse ")
    assert lictor("validate").stderr == "Must specify at least one config file or directory\n"
