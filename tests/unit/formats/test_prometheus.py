"""dbx/formats/prometheus.py: the text that monitors read."""

from __future__ import annotations

from dbx.formats.prometheus import Family, Sample, encode_families


def test_the_text() -> None:
    families = [
        Family("a_total", "counter", "One\nand \\two.", [Sample("", (("x", 'a"b\\c\nd'), ("y", "")), 3)]),
        Family("b", "histogram", "B.", [Sample("_bucket", (("le", "+Inf"),), 2), Sample("_sum", (), 0.25)]),
    ]
    assert encode_families(families).decode() == (
        "# HELP a_total One\\nand \\\\two.\n"
        "# TYPE a_total counter\n"
        'a_total{x="a\\"b\\\\c\\nd",y=""} 3\n'
        "# HELP b B.\n"
        "# TYPE b histogram\n"
        'b_bucket{le="+Inf"} 2\n'
        "b_sum 0.25\n"
    )
