"""Show the notebooks of examples/ as pages: a hook of MkDocs, which needs no Jupyter."""

import base64
import json
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each notebook, its pictures, and the notebook itself to download."""
    for path in sorted(EXAMPLES.glob("*.ipynb")):
        text, pictures = page(path)
        files.append(File.generated(config, f"examples/{path.stem}.md", content=text))
        files.append(File.generated(config, f"examples/{path.name}", abs_src_path=str(path)))
        for name, content in pictures.items():
            files.append(File.generated(config, f"examples/{name}", content=content))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Let links that hold in the repository hold on the site: to notebooks, and from them."""
    markdown = re.sub(r"\]\(\.\./examples/(\w+)\.ipynb\)", r"](examples/\1.md)", markdown)
    return markdown.replace("](../docs/", "](../")


def page(path: Path) -> tuple[str, dict[str, bytes]]:
    """Return a notebook as Markdown, and its pictures by name."""
    parts, pictures = [], {}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else fenced(source, "python"))
        for output in cell.get("outputs", []):
            data = output.get("data", {"text/plain": output.get("text", "")})
            if "image/png" in data:
                name = f"{path.stem}_{len(pictures) + 1}.png"
                pictures[name] = base64.b64decode("".join(data["image/png"]))
                parts.append(f"![{cell['metadata'].get('alt', 'Output')}]({name})")
            elif "text/html" in data:
                parts.append("".join(data["text/html"]))
            else:
                parts.append(fenced("".join(data["text/plain"]).rstrip(), "text"))
    parts.insert(1, f"[Download this notebook]({path.name})")
    return "\n\n".join(parts) + "\n", pictures


def fenced(text: str, language: str) -> str:
    """Return text as a block of code."""
    return f"````{language}\n{text}\n````"
