"""Giving memory back must not take away anything that is still needed."""

import json
import subprocess
import sys

from appliance.observe.memory import _clean_file_pages

SMAPS = """\
55d0c0000000-55d0c0021000 r--p 00000000 fe:00 131 /usr/bin/python3.11
Rss:                 132 kB
Anonymous:             0 kB
7f0000000000-7f0000400000 r-xp 00001000 fe:00 99                         /opt/with space/_duckdb.so
Rss:                4096 kB
Anonymous:             0 kB
7f0000400000-7f0000500000 r--p 00401000 fe:00 99                         /opt/with space/_duckdb.so
Rss:                1024 kB
Anonymous:           512 kB
7f0000500000-7f0000600000 rw-p 00501000 fe:00 99                         /opt/with space/_duckdb.so
Anonymous:             0 kB
7f0000600000-7f0000700000 rw-s 00000000 00:05 12                         /memfd:shared (deleted)
Anonymous:             0 kB
7f0000700000-7f0000800000 rw-p 00000000 00:00 0
Anonymous:             0 kB
7ffd00000000-7ffd00021000 r-xp 00000000 00:00 0                          [vdso]
Anonymous:             0 kB
"""

WORK = """
from appliance.observe.memory import choose_allocators, give_back_start

choose_allocators()

import json, os, duckdb, pyarrow

def file_kb():
    with open('/proc/self/status') as status:
        return next(int(line.split()[1]) for line in status if line.startswith('RssFile'))

def answer():
    return duckdb.sql("SELECT sum(i) FROM range(100000) t(i)").to_arrow_table().to_pylist()

first, before = answer(), file_kb()
give_back_start()
after = file_kb()
threads = [open(f'/proc/self/task/{one}/comm').read() for one in os.listdir('/proc/self/task')]
pool = pyarrow.default_memory_pool().backend_name
seen = {"before": before, "after": after, "same": answer() == first, "answer": str(first)}
print(json.dumps(seen | {"pool": pool, "threads": threads}))
"""


def test_only_pages_that_are_the_files_own_are_given_back() -> None:
    assert _clean_file_pages(SMAPS) == [(0x55D0C0000000, 0x21000), (0x7F0000000000, 0x400000)]


def test_work_goes_on_with_less_memory() -> None:
    answer = subprocess.run([sys.executable, "-c", WORK], capture_output=True, text=True, check=True)
    seen = json.loads(answer.stdout)
    assert seen["same"] is True
    assert "4999950000" in seen["answer"]
    assert seen["after"] < seen["before"] / 2
    assert seen["pool"] == "system"
    assert "jemalloc_bg_thd\n" in seen["threads"]  # DuckDB's
