"""YAML files: every mistake is reported with file, line, path and remedy, and no file can do harm."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from accelsim.arch import Arch, load_arch
from accelsim.arch.document import read_document
from accelsim.errors import AccelsimError, ConfigError

GOOD = """\
name: mine
clock_hz: 500 MHz
array:
  rows: 16
  cols: 16
  dataflow: weight_stationary
accumulator:
  count: 64
  bits: 32
  overflow: wrap
  double_buffered: true
weight_buffer:
  size_bytes: 1 KiB
activation_buffer: {size_bytes: 2 KiB, bytes_per_cycle: 8}
output_buffer:
  size_bytes: 512
  double_buffered: false
requantizer:
  lanes: 4
vector:
  lanes: 4
dram:
  bandwidth_bytes_per_s: 1 GB/s
  latency_ns: 100 ns
"""
SECTIONS = (
    "name, clock_hz, array, accumulator, weight_buffer, activation_buffer, output_buffer, requantizer, vector, dram"
)
TOP = (
    "name, description, source, arithmetic, overrides, clock_hz, array, accumulator, weight_buffer, activation_buffer,"
    " output_buffer, shared_buffer, requantizer, vector, dma, dram, streams, cores, tech"
)
PRESETS = (
    "bit_fusion_16x16, bit_serial_16x16, cfu_hps, edge_16x16, edge_lpddr4, ethos_u55_128, gemmini_16x16, ita_16x64, mcu_npu,"
    " nvdla_nv_small, nvdla_small, os_16x16, scalesim_32x32_is,"
    " scalesim_32x32_os,"
    " scalesim_32x32_ws, tiny_8x8, tpu_v1"
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def error_of(content: str | bytes) -> str:
    Path("m.yaml").write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ConfigError) as caught:
        load_arch("m.yaml")
    assert "\n" not in str(caught.value)
    assert caught.value.data
    return str(caught.value)


def outcome() -> Arch | str:
    """The machine in ``m.yaml``, or the message of the deliberate error."""
    try:
        return load_arch("m.yaml")
    except AccelsimError as error:
        return str(error)


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def test_a_good_file(here: Path) -> None:
    Path("m.yaml").write_text(GOOD, encoding="utf-8")
    arch = load_arch("m.yaml")
    assert (arch.clock_hz, arch.weight_buffer.size_bytes, arch.output_buffer.size_bytes) == (500_000_000, 1024, 512)
    assert (arch.activation_buffer.bytes_per_cycle, arch.output_buffer.double_buffered) == (8, False)
    assert (arch.arithmetic, arch.dma.setup_cycles, arch.tech.energy_table) == (None, 0, "horowitz_45nm")
    assert (arch.array.weight_preload, arch.array.first_cycle, arch.array.weight_bits) == ("serial", 1, 8)


@pytest.mark.parametrize(
    "content", [b"\xef\xbb\xbf" + GOOD.encode(), GOOD.replace("\n", "\r\n").encode(), f"---\n{GOOD}...\n".encode()]
)
def test_marks_and_line_ends_do_not_matter(here: Path, content: bytes) -> None:
    Path("m.yaml").write_bytes(content)
    assert load_arch("m.yaml").array.rows == 16


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  rows: 16", "  rowz: 16", "m.yaml:4: array.rowz: unknown key; did you mean 'rows'?"),
        ("  rows: 16", "  ROWS: 16", "m.yaml:4: array.ROWS: unknown key; did you mean 'rows'?"),
        ("name: mine", "name: mine\nrows: 3", "m.yaml:2: rows: unknown key; did you mean 'array.rows'?"),
        ("name: mine", "name: mine\nfoo: 3", f"m.yaml:2: foo: unknown key; expected one of {TOP}"),
        (
            "  lanes: 4\nvector",
            "  lanes: 4\n  zzz: 1\nvector",
            "m.yaml:20: requantizer.zzz: unknown key; expected one of lanes, stages, streaming, pipeline_stages, parameter_bytes",
        ),
        (
            "  rows: 16",
            "  rows: 16\n  rows: 17",
            "m.yaml:5: array.rows: duplicate key; the first is in line 4, keep one of them",
        ),
        (
            "name: mine",
            "name: mine\nname: x",
            "m.yaml:2: name: duplicate key; the first is in line 1, keep one of them",
        ),
        ("  rows: 16\n", "", "m.yaml:3: array.rows: missing; expected rows of MACs"),
        ("clock_hz: 500 MHz\n", "", "m.yaml:1: clock_hz: missing; expected clock of the whole machine, Hz"),
        (
            "requantizer:\n  lanes: 4\n",
            "",
            "m.yaml:1: requantizer: missing; expected a section with lanes",
        ),
        (
            "requantizer:\n  lanes: 4\n",
            "requantizer: 4\n",
            "m.yaml:18: requantizer: expected a section with lanes, got 4",
        ),
        ("rows: 16", "rows: sixteen", "m.yaml:4: array.rows: expected a whole number, got 'sixteen'"),
        ("rows: 16", "rows: '16'", "m.yaml:4: array.rows: expected a whole number, got '16'"),
        ("rows: 16", "rows: 16.5", "m.yaml:4: array.rows: expected a whole number, got 16.5"),
        ("rows: 16", "rows: true", "m.yaml:4: array.rows: expected a whole number, got true"),
        ("rows: 16", "rows:", "m.yaml:4: array.rows: expected a whole number, got null"),
        ("rows: 16", "rows: [16]", "m.yaml:4: array.rows: expected a whole number, got [16]"),
        ("rows: 16", "rows: 2020-01-01", "m.yaml:4: array.rows: expected a whole number, got '2020-01-01'"),
        ("rows: 16", "rows: 0", "m.yaml:4: array.rows: expected at least 1, got 0"),
        ("rows: 16", "rows: 65537", "m.yaml:4: array.rows: expected at most 65536, got 65537"),
        (
            "  dataflow: weight_stationary",
            "  dataflow: weight_stationry",
            (
                "m.yaml:6: array.dataflow: expected 'weight_stationary', 'output_stationary', 'input_stationary' or 'adder_tree',"
                " got 'weight_stationry';"
                " did you mean 'weight_stationary'?"
            ),
        ),
        (
            "overflow: wrap",
            "overflow: saturated",
            (
                "m.yaml:10: accumulator.overflow: expected 'wrap', 'saturate', 'saturate_symmetric' or 'trap', got"
                " 'saturated'; did you mean 'saturate'?"
            ),
        ),
        (
            "  cols: 16",
            "  cols: 16\n  first_cycle: true",
            "m.yaml:6: array.first_cycle: expected 0 or 1, got true",
        ),
        ("  cols: 16", "  cols: 16\n  first_cycle: 2", "m.yaml:6: array.first_cycle: expected 0 or 1, got 2"),
        (
            "double_buffered: false",
            "double_buffered: no",
            "m.yaml:17: output_buffer.double_buffered: expected true or false, got 'no'",
        ),
        (
            "double_buffered: false",
            "double_buffered: 0",
            "m.yaml:17: output_buffer.double_buffered: expected true or false, got 0",
        ),
        (
            "500 MHz",
            "500 mhz",
            (
                "m.yaml:2: clock_hz: '500 mhz' has the unit 'mhz'; expected a plain number of Hz, or a number with Hz,"
                " kHz, MHz, GHz, THz, such as '500 MHz'; did you mean 'MHz'?"
            ),
        ),
        ("500 MHz", "12 Hz", "m.yaml:2: clock_hz: expected at least 1000, got 12"),
        ("500 MHz", "1 THz", "m.yaml:2: clock_hz: expected at most 100000000000, got 1000000000000"),
        (
            "1 KiB",
            "1 KB",
            (
                "m.yaml:13: weight_buffer.size_bytes: '1 KB' has the unit 'KB'; KB is ambiguous; write kB for 1000"
                " bytes or KiB for 1024 bytes"
            ),
        ),
        (
            "1 KiB",
            "0.3 KiB",
            (
                "m.yaml:13: weight_buffer.size_bytes: '0.3 KiB' is 307.2 bytes; expected a whole number, such as 307 or"
                " 308"
            ),
        ),
        (
            "1 KiB",
            "2 TiB",
            "m.yaml:13: weight_buffer.size_bytes: expected at most 1099511627776, got 2199023255552",
        ),
        (
            "  size_bytes: 1 KiB",
            "  size_bytes: 1",
            "m.yaml:12: weight_buffer: a double-buffered memory needs 2 bytes or more, one per tile, got 1",
        ),
        (
            "2 KiB, bytes_per_cycle: 8",
            "2 KiB, resident_bytes: 2 KiB",
            (
                "m.yaml:14: activation_buffer: resident_bytes of 2048 in size_bytes of 2048: expected at most 2046, since"
                " tiles need the rest; enlarge size_bytes or keep less"
            ),
        ),
        (
            "2 KiB, bytes_per_cycle: 8",
            "2 KiB, resident_bytes: 4 KiB, double_buffered: false",
            (
                "m.yaml:14: activation_buffer: resident_bytes of 4096 in size_bytes of 2048: expected at most 2047, since"
                " tiles need the rest; enlarge size_bytes or keep less"
            ),
        ),
        (
            "bytes_per_cycle: 8",
            "resident_bytes: -1",
            "m.yaml:14: activation_buffer.resident_bytes: -1 is negative; expected a size of 0 or more",
        ),
        (
            "bytes_per_cycle: 8",
            "resident_bytes: most",
            (
                "m.yaml:14: activation_buffer.resident_bytes: 'most' is not a size; expected a plain number of bytes, or a number with B, kB,"
                " MB, GB, TB, KiB, MiB, GiB, TiB, such as '64 KiB', or auto"
            ),
        ),
        (
            "bytes_per_cycle: 8",
            "resident_bytes: 2 TiB",
            "m.yaml:14: activation_buffer.resident_bytes: expected at most 1099511627776, got 2199023255552",
        ),
        (
            "bytes_per_cycle: 8",
            "resident_byte: 1",
            "m.yaml:14: activation_buffer.resident_byte: unknown key; did you mean 'resident_bytes'?",
        ),
        (
            "  size_bytes: 1 KiB",
            "  size_bytes: 1 KiB\n  resident_bytes: 1",
            "m.yaml:14: weight_buffer.resident_bytes: unknown key; did you mean 'size_bytes'?",
        ),
        (
            "count: 64",
            "count: 1",
            "m.yaml:7: accumulator: double-buffered accumulators need a count of 2 or more, one word per half, got 1",
        ),
        ("100 ns", "-1", "m.yaml:24: dram.latency_ns: -1 is negative; expected a time of 0 or more"),
        (
            "100 ns",
            ".nan",
            (
                "m.yaml:24: dram.latency_ns: nan is not a time; expected a plain number of ns, or a number with s, ms,"
                " us, ns, ps, fs, such as '100 ns'"
            ),
        ),
        ("100 ns", "2 s", "m.yaml:24: dram.latency_ns: expected at most 1000000000, got 2000000000.0"),
        (
            "1 GB/s",
            "499 B/s",
            (
                "m.yaml:1: dram.bandwidth_bytes_per_s of 499 at a clock_hz of 500000000: expected at most 1000000"
                " cycles per byte; raise bandwidth or lower clock"
            ),
        ),
        (
            "name: mine",
            "name: mine\narithmetic: tflite-mirco",
            (
                "m.yaml:2: arithmetic: arithmetic 'tflite-mirco': expected one of litert-reference, tflite-micro,"
                " litert-optimized, litert-xnnpack, onnxruntime, finn, tosa, nvdla, gemmini, ethos-u-natural; did you mean 'tflite-micro'?"
            ),
        ),
        (
            "name: mine",
            "name: mine\noverrides: {ADD: float64_half_away}",
            (
                "m.yaml:2: overrides: ADD cannot use scheme 'float64_half_away'; expected one of tflite_double, single,"
                " half_up_twice, tflite_int16, xnnpack_add, onnxruntime_float32"
            ),
        ),
        (
            "name: mine",
            "name: mine\noverrides:\n  ADD: 3",
            "m.yaml:3: overrides.ADD: expected a text, got 3",
        ),
        (
            "name: mine",
            "name: mine\noverrides: [ADD]",
            "m.yaml:2: overrides: expected operators and their schemes, such as ADD: single, got ['ADD']",
        ),
        ("name: mine", "name: 12", "m.yaml:1: name: expected a text, got 12"),
        ("name: mine", "name: ''", "m.yaml:1: name: expected a text that is not empty, got ''"),
        (
            "name: mine",
            "name: ' x'",
            "m.yaml:1: name: expected one line that neither starts nor ends with a space, got ' x'",
        ),
        (
            "name: mine",
            f"name: {'x' * 101}",
            f"m.yaml:1: name: expected at most 100 characters, got '{'x' * 58}…",
        ),
    ],
)
def test_message(here: Path, old: str, new: str, message: str) -> None:
    assert error_of(changed(old, new)) == message


def test_all_mistakes_at_once_each_with_its_line(here: Path) -> None:
    text = changed("rows: 16", "rows: 0").replace("1 KiB", "1 KB").replace("bits: 32", "bit: 32")
    Path("m.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_arch("m.yaml")
    assert str(caught.value) == (
        "m.yaml:9: accumulator.bit: unknown key; did you mean 'bits'?; m.yaml:4: array.rows: expected at least 1, got"
        " 0; m.yaml:13: weight_buffer.size_bytes: '1 KB' has the unit 'KB'; KB is ambiguous; write kB for 1000 bytes"
        " or KiB for 1024 bytes"
    )
    assert [path for path, _ in caught.value.data["problems"]] == [
        "accumulator.bit",
        "array.rows",
        "weight_buffer.size_bytes",
    ]


def test_a_long_list_of_mistakes_is_cut(here: Path) -> None:
    message = error_of("\n".join(f"k{i}: 1" for i in range(100)))
    assert message.count("unknown key") == 10
    assert message.endswith("; and 100 more")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "m.yaml: is empty; expected a machine description: a mapping of name, clock_hz, array, ..."),
        ("# nothing\n", "m.yaml: is empty; expected a machine description: a mapping of name, clock_hz, array, ..."),
        ("[1, 2]", "m.yaml:1: expected a machine description: a mapping of name, clock_hz, array, ..., got a list"),
        ("\nhello", "m.yaml:2: expected a machine description: a mapping of name, clock_hz, array, ..., got 'hello'"),
        ("a: [1", "m.yaml:1: not YAML: expected ',' or ']', but got '<stream end>'"),
        ("a: 1\nb: c: d", "m.yaml:2: not YAML: mapping values are not allowed here"),
        ("name: x\n\ty: 1", "m.yaml:2: not YAML: found character '\\t' that cannot start any token"),
        ("name: x\n---\nname: y", "m.yaml:2: not YAML: but found another document"),
        ("a: !!int foo", "m.yaml:1: 'foo' is not a YAML int"),
        ("a: !!bool foo", "m.yaml:1: 'foo' is not a YAML bool"),
        ("a: !!float foo", "m.yaml:1: 'foo' is not a YAML float"),
        ("a: *nowhere", "m.yaml:1: not YAML: found undefined alias 'nowhere'"),
        (b"name: x\nsource: \xff", "m.yaml:2: not UTF-8 text; expected a YAML file"),
        (b"name: \x00\x01", "m.yaml: a binary file; expected a YAML file"),
        ("x" * 70_000, "m.yaml: larger than 65536 bytes; expected a machine description in YAML"),
        (
            "[" * 20_000,
            "m.yaml: nested too deeply; expected a machine description: a mapping of name, clock_hz, array, ...",
        ),
        ("a: &a\n  b: *a", "m.yaml:1: nested too deeply or too large"),
        ("a: &a [*a]", "m.yaml:1: nested too deeply or too large"),
    ],
)
def test_what_is_no_machine_at_all(here: Path, content: str | bytes, message: str) -> None:
    assert error_of(content) == message


def test_digits_without_end_are_no_number(here: Path) -> None:
    assert error_of("rows: " + "1" * 5000).endswith("… is not a YAML int")


def test_unfolding_aliases_are_stopped_early(here: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    start = time.process_time()
    assert "too large" in error_of("\n".join(lines))
    assert time.process_time() - start < 5


def test_anchors_are_fine_where_they_stay_small(here: Path) -> None:
    text = changed("weight_buffer:\n  size_bytes: 1 KiB", "weight_buffer: &buffer\n  size_bytes: 1 KiB")
    text = text.replace("{size_bytes: 2 KiB, bytes_per_cycle: 8}", "*buffer")
    Path("m.yaml").write_text(text, encoding="utf-8")
    arch = load_arch("m.yaml")
    assert arch.activation_buffer.model_dump() == {
        **arch.weight_buffer.model_dump(exclude={"coding", "decoders", "slots"}),
        "resident_bytes": 0,
        "fuse_pairs": False,
        "im2col": "implicit",
    }


def test_yaml_tags_run_nothing(here: Path) -> None:
    assert "name: expected" not in error_of("a: !!python/object/apply:os.system ['touch ran']")
    assert not Path("ran").exists()


@pytest.mark.parametrize("key", ["1", "null", "? [a, b]\n", "<<", "{a: b}"])
def test_odd_keys_are_unknown_keys(here: Path, key: str) -> None:
    assert "unknown key" in error_of(f"{GOOD}{key}: 1\n")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("edge_16", f"edge_16: no such file, nor a preset; presets are {PRESETS}; did you mean 'edge_16x16'?"),
        ("tpu_v1.yaml", f"tpu_v1.yaml: no such file, nor a preset; presets are {PRESETS}; did you mean 'tpu_v1'?"),
        ("zzzz", f"zzzz: no such file, nor a preset; presets are {PRESETS}"),
        ("m.yaml/x", f"m.yaml/x: no such file, nor a preset; presets are {PRESETS}"),
        (".", ".: cannot be read: Is a directory; expected a YAML file"),
        ("", f"'': is neither a preset nor a file name; presets are {PRESETS}"),
        ("a\0b", f"'a\\x00b': is neither a preset nor a file name; presets are {PRESETS}"),
        ("x" * 5000, f"{'x' * 5000}: cannot be read: File name too long; expected a YAML file"),
    ],
)
def test_what_is_no_file(here: Path, name: str, message: str) -> None:
    Path("m.yaml").write_text(GOOD, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_arch(name)
    assert str(caught.value) == message


def test_a_missing_file_lists_the_presets_as_data(here: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_arch(Path("nope.yaml"))
    assert caught.value.data["file"] == "nope.yaml"
    assert "edge_16x16" in caught.value.data["presets"]


def test_edits_of_a_file(here: Path) -> None:
    Path("m.yaml").write_text(GOOD, encoding="utf-8")
    assert load_arch(Path("m.yaml"), edits={"array.rows": "8"}).array.rows == 8
    with pytest.raises(ConfigError, match=r"^array\.rows: expected at least 1, got 0$"):
        load_arch("m.yaml", edits={"array.rows": "0"})


def test_lines_of_nested_entries() -> None:
    document = read_document("a:\n  b: 1\n\n  c:\n    - 2\nd: 3\n", name="f")
    assert document.data == {"a": {"b": 1, "c": [2]}, "d": 3}
    assert [document.line(path) for path in [(), ("a",), ("a", "b"), ("a", "c"), ("d",), ("d", "x"), ("y",)]] == [
        1,
        1,
        2,
        4,
        6,
        6,
        1,
    ]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=60) | st.text("abc:-[]{}&*!|>'\"#%@,? \n\t0~", max_size=60))
@example("? ")
@example("a: !!map x")
@example("a: !!int {}")
@example("- !!seq x")
@example("a: 1_")
@example("%YAML 9.9\n---\na: 1")
def test_any_text_gives_a_machine_or_one_line(here: Path, text: str) -> None:
    Path("m.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    result = outcome()
    assert isinstance(result, Arch) or "\n" not in result


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60))
def test_any_bytes_give_one_line(here: Path, content: bytes) -> None:
    assert error_of(content)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_damage_gives_a_machine_or_one_line(here: Path, data: st.DataObject) -> None:
    """A character more, less or other, anywhere in a good file."""
    at = data.draw(st.integers(0, len(GOOD) - 1))
    put, drop = data.draw(st.text(max_size=3)), data.draw(st.integers(0, 3))
    Path("m.yaml").write_bytes((GOOD[:at] + put + GOOD[at + drop :]).encode("utf-8", "surrogatepass"))
    result = outcome()
    assert isinstance(result, Arch) or (result.startswith("m.yaml") and "\n" not in result)


def test_an_error_of_one_thing_is_about_itself_and_one_of_several_lists_them() -> None:
    arch = load_arch("edge_16x16")
    for edits in ({"array.rows": 0}, {"array.rows": 0, "array.cols": 0}):
        with pytest.raises(ConfigError) as caught:
            arch.with_(edits)
        listed = caught.value.exceptions
        assert len(listed) == len(edits)
        assert (listed == (caught.value,)) == (len(edits) == 1)
        assert all(str(each) in str(caught.value) for each in listed)
