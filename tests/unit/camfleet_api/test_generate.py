# SPDX-License-Identifier: Apache-2.0
"""Generated files agree with the models, and the check notices when they do not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from camfleet_api import generate
from camfleet_api.kind import Kind
from camfleet_api.kinds import KINDS


def test_committed_files_are_made_from_the_models(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["generate", "--check"])
    assert generate.main() == 0, capsys.readouterr().out


def test_the_check_names_a_file_that_differs_and_leaves_it_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "crds").mkdir()
    readme = (generate.ROOT / "crds" / "README.md").read_text("utf-8")
    (tmp_path / "crds" / "README.md").write_text(readme.replace("DiskFull", "DiscFull"), "utf-8")
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["generate", "--check"])
    assert generate.main() == 1
    assert "crds/README.md is not what the models say" in capsys.readouterr().out
    assert "DiscFull" in (tmp_path / "crds" / "README.md").read_text("utf-8")

    monkeypatch.setattr(sys, "argv", ["generate"])
    assert generate.main() == 0
    monkeypatch.setattr(sys, "argv", ["generate", "--check"])
    assert generate.main() == 0


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_chart_keeps_the_same_definition_on_uninstall(kind: Kind) -> None:
    crd = generate.custom_resource_definition(kind)
    template = generate.chart_copy(crd)
    first, *body, last = template.splitlines()
    assert (first, last) == ("{{- if .Values.crds.install }}", "{{- end }}")
    assert "{{" not in "".join(body), "Helm would read this as a template"
    copy = yaml.safe_load("\n".join(body))
    assert copy["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert copy == crd


def test_text_around_the_generated_part_is_kept() -> None:
    text = f"before\n{generate.BEGIN}\nold\n{generate.END}\nafter\n"
    assert generate.with_generated_part(text, "new\n") == (
        f"before\n{generate.BEGIN}\nnew\n{generate.END}\nafter\n"
    )
