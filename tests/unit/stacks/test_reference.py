"""The reference page and the ``config`` section of Pulumi.yaml say what the declarations say."""

import yaml

from stacks import reference


def test_the_reference_page_is_in_step() -> None:
    assert reference.DOCUMENT.read_text() == reference.document(), "run python -m stacks.reference"


def test_the_project_file_is_in_step_and_every_key_has_type_default_and_description() -> None:
    config = yaml.safe_load(reference.PROGRAM.read_text())["config"]
    assert config == reference.program_config(), "run python -m stacks.reference"
    assert all(set(entry) == {"type", "description", "default"} for entry in config.values())


def test_stack_files_live_in_the_stacks_directory() -> None:
    project = yaml.safe_load(reference.PROGRAM.read_text())
    assert (project["name"], project["stackConfigDir"], project["runtime"]["name"]) == (
        "nginx-mesh",
        "stacks",
        "python",
    )
