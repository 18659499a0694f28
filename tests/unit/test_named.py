"""CDC_SOURCES: the databases to watch, by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from cdc.config import Settings
from cdc.errors import ConfigurationError
from cdc.service.named import Named, configured, inline

HOME = "postgresql://me:hush@home:5432/app"
CRM = "postgresql://me:hush@crm:5432/crm"
MANY_HOSTS = "postgres://me:hush@one:5432,two:5433/shop?target_session_attrs=primary"


def settings(sources: str | None = None, **others: str) -> Settings:
    return Settings(sources=SecretStr(sources) if sources else None, **others)  # type: ignore[arg-type]


def names(sources: tuple[Named, ...]) -> dict[str, tuple[str, str]]:
    return {source.name: (source.url, source.slot) for source in sources}


@pytest.mark.parametrize("between", [", ", ",", "\n", " ,\n  ", " "])
def test_sources_are_split_before_names_and_not_at_the_commas_of_urls(between: str) -> None:
    given = f"shop={MANY_HOSTS}{between}crm={CRM}"
    assert names(configured(settings(given), HOME)) == {
        "default": (HOME, "cdc"),
        "shop": (MANY_HOSTS, "cdc_shop"),
        "crm": (CRM, "cdc_crm"),
    }


def test_a_file_has_one_source_a_line(tmp_path: Path) -> None:
    file = tmp_path / "sources"
    file.write_text(f"# ours\n\n  crm={CRM}  \nshop = {MANY_HOSTS}\n")
    assert list(names(configured(settings(f"@{file}"), HOME))) == ["default", "crm", "shop"]


def test_a_file_may_be_empty(tmp_path: Path) -> None:
    file = tmp_path / "sources"
    file.touch()
    assert list(names(configured(settings(f"@{file}"), HOME))) == ["default"]


def test_the_one_line_form_is_read_as_what_it_was_made_of() -> None:
    sources = configured(settings(f"shop={MANY_HOSTS},crm={CRM}"), HOME)
    assert configured(settings(inline(sources)), HOME) == sources


def test_without_database_url_the_state_must_have_a_place() -> None:
    with pytest.raises(ConfigurationError, match=r"Without DATABASE_URL.*CDC_STATE_DATABASE_URL"):
        configured(settings(f"crm={CRM}"), None)
    placed = settings(f"crm={CRM}, default={HOME}", state_database_url=HOME)
    assert names(configured(placed, None)) == {"crm": (CRM, "cdc_crm"), "default": (HOME, "cdc")}


@pytest.mark.parametrize(
    ("sources", "says"),
    [
        (CRM, "cannot be read"),
        (f"crm:{CRM}", "cannot be read"),
        (f"hush, crm={CRM}", "cannot be read"),
        (f"Crm={CRM}", "'Crm' cannot be the name"),
        (f"1crm={CRM}", "'1crm' cannot be the name"),
        (f"crm={CRM},crm={CRM}", "two sources 'crm'"),
        (f"default={CRM}", "'default'"),
        (f"crm={CRM},shop=mysql://me:hush@shop/shop", "what follows crm= is not one URL"),
        (f"crm={CRM} and more hush", "what follows crm= is not one URL"),
        ("crm=postgresql://me:hu@sh@crm/crm", r"CDC_SOURCES \(crm\) cannot be read"),
        ("crm=postgresql://me:hush@crm-pooler.neon/crm", "connection pooler"),
        (f"{'c' * 60}={CRM}", "too long"),
        ("@/nowhere/sources", "cannot be read: No such file"),
    ],
)
def test_what_cannot_be_used_is_refused_without_the_url(sources: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as refused:
        configured(settings(sources), HOME)
    assert refused.value.hint
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("line", ["crm", "crm postgresql://me:hush@crm/crm", "postgresql://me:hush@crm/crm"])
def test_a_bad_line_is_told_by_its_number(tmp_path: Path, line: str) -> None:
    file = tmp_path / "sources"
    file.write_text(f"crm={CRM}\n{line}\n")
    with pytest.raises(ConfigurationError, match="Line 2 of") as refused:
        configured(settings(f"@{file}"), HOME)
    assert "hush" not in str(refused.value)


def test_a_source_does_not_show_its_url() -> None:
    (home, crm) = configured(settings(f"crm={CRM}"), HOME)
    assert "hush" not in f"{home!r}{crm!r}{crm}"
