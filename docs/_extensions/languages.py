"""The course in two languages: each page says which it is, and links to the same page in the other one."""

_OTHER = {"course/en/": "course/zh/", "course/zh/": "course/en/"}


def _set_language(app, pagename, templatename, context, doctree):
    for mine, others in _OTHER.items():
        if pagename.startswith(mine):
            context["language"] = mine.split("/")[1]
            twin = others + pagename.removeprefix(mine)
            context["other_language"] = twin if twin in app.env.found_docs else None


def setup(app):
    app.connect("html-page-context", _set_language)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
