"""How the documentation is built: `make docs`."""

import pyg_sgm

project = "pyg_sgm"
author = "The pyg_sgm developers"
copyright = author
version = release = pyg_sgm.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "templates"]

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

autodoc_default_options = {"members": True, "imported-members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 88
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"pyg_sgm {version}"
copybutton_prompt_text = ">>> |\\.\\.\\. |\\$ "
copybutton_prompt_is_regexp = True


def setup(app):
    """Files of the root link to each other by their names there; here they are pages."""

    def to_pages(app, relative_path, parent_docname, content):
        for name in ("ARCHITECTURE", "CHANGELOG", "CONTRIBUTING"):
            content[0] = content[0].replace(f"({name}.md)", f"({name.lower()}.md)")

    app.connect("include-read", to_pages)
