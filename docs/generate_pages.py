"""The script that the plugin gen-files runs: it adds all generated pages to the site."""

import sys
from pathlib import Path

import mkdocs_gen_files

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from docs.generator import generated_files  # noqa: E402

for path, content in generated_files().items():
    with mkdocs_gen_files.open(path, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
