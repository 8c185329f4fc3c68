"""Documents made from a good one by changing it in one place: each value for one of another type or just out of its range, each
member missing, or with a name that is not known. Whether they are good is not said: the schema and the program must agree."""
import copy
import json

ODD = [None, True, False, 0, 1, -1, 2, 3, 1.0, 0.5, -0.0, 100.0, 2**31, 2**53 + 1, 2**63 - 1, -2**63, "", " ", "x", "1", "auto", "\n",
       "2-5\n", "a\u0000b", "\u00e9", "\U0001f600", [], [1], [1.0], [None], ["x"], [[]], [{}], {}, {"x": 1}, {"_comment": 1}]
# What a string may be, or nearly: of a place its last key, of elements that of the array.
NEAR = {
    "name": ["a", "a" * 64, "a" * 65, "vm\n", ".a", "-a", "a/b", "a b", "a.b", "@", "+x", "_x", "\u00e4", "A-Z_0.9@+"],
    "smt": ["whole", "split", "Whole", "whole ", "whole\n", "spli"],
    "vfio": ["spread", "guest", "housekeeping", "leave", "Guest", "leave\n", "host"],
    "devices": ["0000:01:00.0", "0000:01:00.7", "0000:01:00.8", "0000:01:00", "01:00.0", "0000:0A:00.0", "0000:01:00.0\n",
                " 0000:01:00.0", "00000:01:00.0", "ffff:ff:ff.7", "0000:0g:00.0", "0000-01-00.0", "01:1F.0", "01:20.0"],
    "match": ["driver:", "driver:x", "driver:\n", "driver", "Driver:x", "pci:*", "pci:", "pci:0000:01:00.*\n", "pci:0000:0A:*", "pci:[!0]*",
              "chip:a b", "action:\u00e9", "irq:5", " pci:*", "pci:\u0000", "action:\u0000", "driver:x\n"],
    "governor": ["performance", "schedutil", "Performance", "a b", "a" * 32, "a" * 33, "performance\n", "x-y_9", "\u00e9"],
    "resume_latency_us": ["n/a", "N/A", "n/a\n", 1000000, 1000001],
    "transparent_hugepages": ["always", "madvise", "never", "[never]", "never\n"],
    "watchdog": ["housekeeping", "all", "housekeeping\n"],
    "guest": ["core:4-7", "4-7 + 12", "\t", "4;5", "4\n", "\u00b2", "|", "'4'", "4\u0000"],
    "emulator": ["1", "housekeeping", "\t", "0;1"],
    "iothreads": ["3", "housekeeping", "\t", "0;1"],
    "cpus": ["3", "housekeeping", "all", "\t", "0;1"],
    "extends": ["base", ".base", "base\n", "../base", "base.json/"],
    "machine": [{"cpu": "*"}, {"board": ""}, {"vendor": "*", "x": 1}, {"_comment": "only"}],
    "cpu": ["*", "[", "\\"], "board": ["*"], "vendor": ["?"], "user": ["root", "a b"], "command": ["true", "a\u0000"],
    "vcpus": [[4, 12], [4, 4], [4, 4.0], [4, "12"], "Auto", [65536], [-1], [4.5]],
    "rules": [[{"match": "driver:x"}], [{"cpus": "1"}], [{"match": "driver:x", "cpus": "1", "x": 1}], [{"match": "driver:x", "cpus": 1}]],
}
UNKNOWN = ["x", "", "Version", "guests", "comment", "_Comment", "_comments", "\u00e9", "a.b", "__comment"]


def places(value, path=()):
    yield path
    for key, member in (value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()):
        yield from places(member, path + (key,))


def last_key(path):
    return next((key for key in reversed(path) if isinstance(key, str)), "")


def put(document, path, value):
    if not path:
        return value
    document = copy.deepcopy(document)
    at = document
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return document


def values(path, schema):
    """What to put there. Words that only a machine can judge are left out where CPUs are asked for."""
    key = last_key(path)
    odd = ODD
    if key in ("guest", "emulator", "iothreads", "cpus", "extends"):
        odd = [value for value in ODD if not isinstance(value, str) or not value.strip() or "\u0000" in value or "\n" in value]
        odd = [value for value in odd if value != ["x"]]
    if key == "vcpus":
        odd = [value for value in ODD if value not in ([1], [1.0], 0, 1, 2, 3, 1.0, -0.0, 100.0) or isinstance(value, bool)]
    if key == "housekeeping_cores":
        odd = [value for value in ODD if value not in (100.0,)]
    yield from odd
    yield from NEAR.get(key, [])
    limits = schema["properties"]["host"]["properties"].get(key, {})
    for option in limits.get("oneOf", [limits]):
        if "maximum" in option:
            yield from (option["minimum"] - 1, option["minimum"], option["maximum"], option["maximum"] + 1, float(option["maximum"]))


def mutations(document, schema):
    """Pairs of a name and a document."""
    for path in places(document):
        where = "/".join(map(str, path)) or "."
        for number, value in enumerate(values(path, schema)):
            yield f"{where} = {value!r:.40} ({number})", put(document, path, value)
        at = document
        for key in path:
            at = at[key]
        if isinstance(at, dict):
            for key in UNKNOWN:
                yield f"{where} with {key!r}", put(document, path, {**at, key: 1})
            for key in at:
                yield f"{where} without {key}", put(document, path, {k: v for k, v in at.items() if k != key})
                yield f"{where} with {key} twice, in capitals", put(document, path, {**at, key.upper(): at[key]})
                yield f"{where} with {key} misspelt", put(document, path, {(k[:-1] if k == key else k): v for k, v in at.items()})
        if isinstance(at, list) and at:
            yield f"{where} without its last", put(document, path, at[:-1])
            yield f"{where} with one more", put(document, path, at + [{}])


def duplicates(document):
    """The text of the document with one member twice, for each member. (No schema sees that: its validator is given the last one.)"""
    for path in places(document):
        at = document
        for key in path:
            at = at[key]
        for key in at if isinstance(at, dict) else ():
            twice = put(document, path, {**at, "twice": at[key]})
            yield json.dumps(twice).replace('"twice": ', f'"{key}": ')
