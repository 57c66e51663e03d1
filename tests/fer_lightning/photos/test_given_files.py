"""The files below a folder, whatever links lie in it."""

from fer_lightning.photos import named_files


def test_pictures_below_a_folder_are_found_once_each(tmp_path):
    for name in ("b.JPG", "a.png", "notes.txt", ".hidden.png", "deep/er/c.webp", ".git/d.png"):
        path = tmp_path / "top" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "e.png").write_bytes(b"")
    (tmp_path / "top" / "deep" / "loop").symlink_to(tmp_path / "top")
    (tmp_path / "top" / "z").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "top")
    found = list(named_files(tmp_path / "top", (".jpg", ".png", ".webp")))
    names = ["a.png", "b.JPG", "deep/er/c.webp", "z/e.png"]
    assert found == [tmp_path / "top" / name for name in names]
