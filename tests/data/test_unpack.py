"""Files out of archives: those that are wanted, whole, and nothing else anywhere."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from suite.errors import UserError
from suite.files import unpack
from suite.files.unpack import BadArchive, Member, extract

FILES = {"release/README": b"read me", "release/release/data/a.tsv": b"a\n" * 50_000, "release/data/more/b.tsv": b"b",
         "release/data/less/c.tsv": b"c", "release/other/data.tsv": b"d"}


def tar_of(path: Path, files: dict[str, bytes], *odd: tarfile.TarInfo, mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for info in odd:
            tar.addfile(info)
    return path


def zip_of(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return path


def info_of(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize("make", [tar_of, zip_of, lambda path, files: tar_of(path, files, mode="w")])
def test_members_come_to_their_places_and_nothing_else(make: Callable[[Path, dict[str, bytes]], Path],
                                                       tmp_path: Path) -> None:
    archive, out = make(tmp_path / "x", FILES), tmp_path / "out"
    (out / "data").mkdir(parents=True)
    (out / "data" / "old").write_text("of an earlier version")
    (out / "one" / ".unpacking-x-left").mkdir(parents=True)  # by a process that was killed
    extract(archive, [Member("data/a.tsv", out / "one" / "a.tsv"), Member("data", out / "data", only=("more",))])
    assert {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()} \
        == {"one/a.tsv": FILES["release/release/data/a.tsv"], "data/more/b.tsv": b"b"}
    assert sorted(path.name for path in tmp_path.rglob(".*")) == []


@pytest.mark.parametrize(("odd", "text"), [
    (info_of("../evil", tarfile.REGTYPE), "leads out of it: ../evil"),
    (info_of("/etc/evil", tarfile.REGTYPE), "leads out of it: /etc/evil"),
    (info_of("r/data/x/../../../../evil", tarfile.REGTYPE), "leads out of it"),
    (info_of("release/data/link", tarfile.SYMTYPE, "/etc/passwd"), "in place of release/data/link"),
    (info_of("release/data/hard", tarfile.LNKTYPE, "release/README"), "a link or a device"),
    (info_of("release/data/pipe", tarfile.FIFOTYPE), "a link or a device"),
    (info_of("release/data/device", tarfile.CHRTYPE), "a link or a device")])
def test_what_leads_out_is_refused(odd: tarfile.TarInfo, text: str, tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "x.tar.gz", FILES, odd)
    with pytest.raises(BadArchive, match=text):
        extract(archive, [Member("data", tmp_path / "out" / "data")])
    assert not (tmp_path / "out").exists()


def test_zip_that_leads_out_or_has_a_link(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "x.zip", FILES | {"../evil": b""})
    with pytest.raises(BadArchive, match="leads out of it: ../evil"):
        extract(archive, [Member("data", tmp_path / "out" / "data")])
    link = zipfile.ZipInfo("release/data/link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr(link, "/etc/passwd")
    with pytest.raises(BadArchive, match="a link or a device"):
        extract(archive, [Member("data", tmp_path / "out" / "data")])


def test_a_link_that_is_not_wanted_does_no_harm(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "x", FILES, info_of("release/link", tarfile.SYMTYPE, "README"))
    extract(archive, [Member("more/b.tsv", tmp_path / "b")])
    assert (tmp_path / "b").read_bytes() == b"b"


@pytest.mark.parametrize("cut", [-40, 300, 0])
def test_an_archive_that_is_cut_short(cut: int, tmp_path: Path) -> None:
    content = tar_of(tmp_path / "x", {"data/a": bytes(range(256)) * 400}).read_bytes()
    (tmp_path / "x").write_bytes(content[:cut])
    with pytest.raises(BadArchive, match="the archive is truncated or damaged"):
        extract(tmp_path / "x", [Member("data", tmp_path / "out" / "data")])
    zip_of(tmp_path / "y", FILES)
    (tmp_path / "y").write_bytes((tmp_path / "y").read_bytes()[:-30])
    with pytest.raises(BadArchive, match="the archive is truncated or damaged"):
        extract(tmp_path / "y", [Member("data", tmp_path / "out" / "data")])


def test_a_member_that_is_lacking_is_named(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "x", FILES)
    with pytest.raises(UserError, match="the archive lacks data/b.tsv, new") as caught:
        extract(archive, [Member("data/a.tsv", tmp_path / "a"), Member("data/b.tsv", tmp_path / "b"),
                          Member("new", tmp_path / "c")])
    assert not isinstance(caught.value, BadArchive) and not (tmp_path / "a").exists()


def test_contents_of_a_folder_and_of_archives_are_the_same(tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / "f" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "f" / name).write_bytes(content)
    expected = {name: content for name, content in FILES.items() if name.endswith(".tsv")}
    for source in (tmp_path / "f", tar_of(tmp_path / "x", FILES), zip_of(tmp_path / "y", FILES)):
        assert unpack.contents(source, ".tsv") == expected
