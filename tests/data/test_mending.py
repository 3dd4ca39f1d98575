"""What a message tells a user to do about a file or a folder is what helps."""

from __future__ import annotations

from pathlib import Path

import pytest
from own_cards import own_cards

from suite.cli.main import main
from suite.data import places
from suite.errors import UserError
from suite.files import transfer


def test_a_download_that_is_not_what_it_should_be_is_to_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                                   capsys: pytest.CaptureFixture[str]) -> None:
    with own_cards(tmp_path, monkeypatch) as made:
        words = ["data", "prepare", "bidmc", "--variant", "original", "--task", "bidmc_rr"]
        folder = places.downloads() / "bidmc32"
        for place in (folder, made.home / "bidmc32"):  # SUITE_DATA is looked at first
            place.mkdir(parents=True)
            for part in ("TRAIN", "TEST"):
                (place / f"BIDMC32RR_{part}.ts").write_text("@data\n1:2\n")
            assert main(words) == 2
            text = capsys.readouterr().err
            again = f"    remove {folder}/BIDMC32RR_TRAIN.ts, which was downloaded, and start the same command again. "
            assert "1 dimensions and a target, not 2" in text and (again in text) == (place == folder)


def test_certificates_that_are_not_there_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    with pytest.raises(UserError, match="^SSL_CERT_FILE=/nowhere/ca.pem: the certificates cannot be read: No such"):
        transfer.client()


def test_a_folder_that_cannot_be_made_is_named() -> None:
    with pytest.raises(UserError, match="^/proc/x/downloads: this folder cannot be made\n    set SUITE_CACHE to"):
        transfer.make_folder(Path("/proc/x/downloads"))
