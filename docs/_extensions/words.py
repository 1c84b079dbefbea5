"""The search's words: English as Sphinx has it, and each pair of neighbours in Chinese, which has no spaces.

A query of two characters is found as such a pair, and a longer one as a part of what stands between two punctuation
marks, since the search also finds parts of words.
"""

import re

from sphinx.search.en import SearchEnglish

_CHINESE = re.compile(r"[\u4e00-\u9fff]+")


class Words(SearchEnglish):
    lang = "words"

    def split(self, input):
        runs = _CHINESE.findall(input)
        pairs = {run[i : i + 2] for run in runs for i in range(len(run) - 1)}
        return [*super().split(_CHINESE.sub(" ", input)), *runs, *pairs]

    def word_filter(self, stemmed_word):
        return bool(_CHINESE.match(stemmed_word)) or super().word_filter(stemmed_word)


def setup(app):
    app.add_search_language(Words)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
