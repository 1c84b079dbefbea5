"""Tables from data frames and files, what becomes of their columns, and models of them."""

import gzip
import json
import warnings

import numpy as np
import pytest

import fastnet as fn
from fastnet.tables import BadRowsError, Categories, Numbers, Preprocessing, Table, as_table, read_table, split

RNG = np.random.default_rng(0)


def texts(table):
    return {name: column.texts() for name, column in table.items()}


@pytest.fixture
def csv(tmp_path):
    """`csv("a,b\\n1,x\\n")`: the path of a file with this text, or these bytes."""

    def write(content, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def people(m=200, seed=0):
    """Columns of every kind, and two targets that follow from them."""
    rng = np.random.default_rng(seed)
    age, town = rng.integers(18, 80, m).astype(float), rng.choice(["Ulm", "Bonn", "Kiel"], m)
    price = 3.0 * age + 50 * (town == "Ulm") + 1000
    age[::7] = np.nan
    return {
        "age": age,
        "town": town,
        "is_new": rng.random(m) < 0.5,
        "price": price,
        "dear": np.where(price > 1150, "yes", "no"),
    }


# ---------------------------------------------------------------- data frames


def frames(columns):
    pandas, polars, pyarrow = (pytest.importorskip(name) for name in ("pandas", "polars", "pyarrow"))
    frame = pandas.DataFrame(columns)
    return {
        "mapping": columns,
        "pandas": frame,
        "pandas, nullable": frame.convert_dtypes(),
        "pandas, objects": frame.astype(object),
        "polars": polars.from_pandas(frame),
        "Arrow": pyarrow.Table.from_pandas(frame),
    }


def test_frames_of_all_kinds_are_the_same_table():
    columns = {
        "number": [1.5, None, -3.0],
        "whole": [1, 2, 3],
        "text": ["x", None, "y"],
        "flag": [True, False, True],
        "nothing": [None, None, None],
    }
    expected = {
        "number": ["1.5", "", "-3"],
        "whole": ["1", "2", "3"],
        "text": ["x", "", "y"],
        "flag": ["True", "False", "True"],
        "nothing": ["", "", ""],
    }
    for name, frame in frames(columns).items():
        table = as_table(frame)
        assert texts(table) == expected, name
        kinds = [type(column) for column in table.values()]
        assert kinds[:4] == [Numbers, Numbers, Categories, Categories], name


def test_categories_of_data_frames_are_categories_whatever_they_are():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    for column in (
        pandas.Series([3, 1, None, 3], dtype="category"),
        polars.Series(["3", "1", None, "3"], dtype=polars.Categorical),
        polars.Series(["3", "1", None, "3"], dtype=polars.Enum(["1", "3"])),
    ):
        found = as_table({"a": column})["a"]
        assert isinstance(found, Categories)
        assert found.texts() == ["3", "1", "", "3"]


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([1, 2], TypeError, "is a list"),
        ({}, ValueError, "no columns"),
        ({"a": []}, ValueError, "no rows"),
        ({"a": [1], "b": [1, 2]}, ValueError, "give each as many"),
        ({1: [1]}, ValueError, "give names that are strings"),
        ({"a": [[1, 2]]}, ValueError, "one value a row"),
        ({"a": np.array(["2020-01-01"], "M8[D]")}, TypeError, "'a' holds datetime64"),
        ({"a": [1.0, np.inf]}, ValueError, "infinity in row 1"),
        ({"a": [1, "x"]}, TypeError, "'a' holds 'x'"),
    ],
)
def test_what_is_no_table_is_refused(given, error, message):
    with pytest.raises(error, match=message):
        as_table(given)


def test_arrow_is_understood_wherever_arrays_are():
    pyarrow = pytest.importorskip("pyarrow")
    X, y = RNG.standard_normal((40, 3)).astype(np.float32), RNG.integers(0, 2, 40)
    table = pyarrow.table({f"x{j}": X[:, j] for j in range(3)})
    net = fn.Network([fn.Dense(4, "tanh"), fn.Dense(1, "sigmoid")])
    net.fit(table, pyarrow.array(y), epochs=2, verbose=False)
    again = fn.Network([fn.Dense(4, "tanh"), fn.Dense(1, "sigmoid")])
    again.fit(X, y, epochs=2, verbose=False)
    np.testing.assert_array_equal(net.predict_proba(table), again.predict_proba(X))
    assert net.evaluate(table, pyarrow.chunked_array([y[:10], y[10:]])) == again.evaluate(X, y)


# ---------------------------------------------------------------- CSV


def test_a_file_is_read_as_pandas_reads_it(csv):
    pandas = pytest.importorskip("pandas")
    m = 20_000  # more than a chunk
    rng = np.random.default_rng(5)
    frame = pandas.DataFrame(
        {
            "number": rng.standard_normal(m),
            "whole": rng.integers(-9, 9, m),
            "gaps": np.where(rng.random(m) < 0.3, np.nan, rng.random(m)),
            "name": rng.choice(["a", 'with "quotes"', "with, comma", "line\nbreak", "Ümläut", " spaces "], m),
            "later": [None] * 9000 + [7.5] * (m - 9000),
        }
    )
    for delimiter, decimal in ((",", "."), (";", ","), ("\t", ".")):
        path = csv(frame.to_csv(index=False, sep=delimiter, decimal=decimal, lineterminator="\r\n"))
        expected = pandas.read_csv(path, sep=delimiter, decimal=decimal)
        for given in (path, csv(gzip.compress(path.read_bytes()), "table.csv.gz")):
            table = read_table(given, decimal=decimal)
            assert list(table) == list(expected)
            for name in ("number", "whole", "gaps", "later"):
                np.testing.assert_array_equal(table[name].values, expected[name].to_numpy(np.float64))
            assert table["name"].texts() == [name.strip() for name in expected["name"]]


def test_lines_are_those_of_the_file(csv):
    path = csv('a,b,c\n1,x,2\n2,y\n\n3,z,q\n,NA,5\n"1",\n"w\nv",4\n7,u,9\n8,"u"v,9\n9,u,1_0\n')
    with pytest.raises(BadRowsError) as error:
        read_table(path)
    found = [tuple(row) for row in error.value.rows]
    assert [line for line, _ in found] == [3, 5, 7, 8, 11, 12]
    assert "2 fields, and there are 3 columns" in found[0][1]
    assert found[1][1] == "c is 'q', which is no number"
    assert "and 1 more" in str(error.value)
    with pytest.warns(UserWarning, match="has 6 rows that are bad"):
        table = read_table(path, skip_bad_rows=True)
    assert texts(table) == {"a": ["1", "", "7"], "b": ["x", "", "u"], "c": ["2", "5", "9"]}
    assert [table.place(row) for row in range(3)] == ["line 2", "line 6", "line 10"]
    assert table.take(np.array([2, 0])).place(0) == "line 10"


def test_a_column_is_what_at_least_half_of_it_is(csv):
    rows = ["1"] * 9000 + ["x"] * 9001
    assert isinstance(read_table(csv("a\n" + "\n".join(rows)))["a"], Categories)
    assert isinstance(read_table(csv("a\n" + "\n".join(reversed(rows))))["a"], Categories)
    with pytest.raises(BadRowsError, match=r"has 8999 rows that are bad:\n  line 2: a is 'x'"):
        read_table(csv("a\n" + "\n".join(rows[-3::-1])))
    with pytest.raises(BadRowsError, match=r"line 9002: a is 'x'"):
        read_table(csv("a\n" + "\n".join(rows[:-2])))
    for order in (1, -1):
        found = read_table(csv("a\n" + "\n".join(rows[::order])), kinds={"a": "category"})["a"]
        assert found.texts() == rows[::order]
    with pytest.raises(BadRowsError, match="9001 rows"):
        read_table(csv("a\n" + "\n".join(rows)), kinds={"a": "number"})


@pytest.mark.parametrize(
    ("content", "message", "options"),
    [
        ("", "is empty", {}),
        ("\n\n", "is empty", {}),
        ("a,b\n", "no rows", {}),
        ("a,b\n1\n", "1 row that is bad", {}),
        ("a,a\n1,2\n", "two columns called 'a'", {}),
        ("1,2\n3,4\n", "begins with numbers", {}),
        ("a\n1e999\n2\n", "'1e999', which is no number", {}),
        ("a;b\n1.500;2\n1;2", "'1.500', which is no number", {"decimal": ","}),
        ("a\n1\n", "lacks 'b', 'c': it has 'a'", {"only": ["b", "a", "c"]}),
        ("a\n1\n", "no columns", {"ignore": ["a"]}),
        ("ä\n1\n".encode("latin-1"), "is no text in utf-8.*give its encoding", {}),
        (gzip.compress(b"a\n1\n" * 9999, mtime=0)[:-20], "damaged or cut short", {}),
        ("a\n1\n", "encoding='klingon' is not known", {"encoding": "klingon"}),
        ("a\n1\n", "delimiter=';;'", {"delimiter": ";;"}),
        ("a\n1\n", "decimal=';'", {"decimal": ";"}),
        ('a,b\n1,"2\n', "row in line 2 goes on for too long .unexpected end of data", {"skip_bad_rows": True}),
        (
            'a,b\n"' + "x,1\n" * 40_000 + '",2\nq,3\n',
            "line 2 goes on for too long .field larger",
            {"skip_bad_rows": True},
        ),
        ("a\n1\n", "encoding='rot13' is not known", {"encoding": "rot13"}),
        ("a\n1\n", "kinds\\['a'\\]='date' is not known", {"kinds": {"a": "date"}}),
        ("a\n1\n", "lacks 'b': it has 'a'", {"ignore": ["b"]}),
    ],
)
def test_files_that_cannot_be_read_say_why(csv, content, message, options):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        read_table(csv(content), **options)


def test_other_encodings_headers_and_marks_of_what_is_missing(csv):
    assert list(read_table(csv("\ufeffä,b\n1,2\n"))) == ["ä", "b"]
    assert list(read_table(csv("ä,b\n1,2\n".encode("utf-16")), encoding="utf-16")) == ["ä", "b"]
    assert texts(read_table(csv("1,x\n2,y\n"), has_header=False)) == {"column 1": ["1", "2"], "column 2": ["x", "y"]}
    assert texts(read_table(csv(",b\n0,-\n1,2\n"), missing=["-"])) == {"column 1": ["0", "1"], "b": ["", "2"]}
    found = read_table(csv("a,b\n1,x\n-999,x\n3,y\n"), missing=["-999"])
    assert texts(found) == {"a": ["1", "", "3"], "b": ["x", "x", "y"]}
    assert read_table(csv("a\n1\n?\nNA\nnan\nNone\n"))["a"].is_missing.tolist() == [False, True, True, True, True]


def test_parquet_files_are_read_column_by_column(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"a": [1, 2], "when": pandas.to_datetime(["2020-01-01", "2021-01-01"]), "b": ["x", None]})
    path = tmp_path / "table.data"  # it is seen by its first bytes
    frame.to_parquet(path)
    assert texts(read_table(path, ignore=["when"])) == {"a": ["1", "2"], "b": ["x", ""]}
    with pytest.raises(TypeError, match="'when' holds datetime64"):
        read_table(path)
    with pytest.raises(ValueError, match="lacks 'c'"):
        read_table(path, only=["c"])


# ---------------------------------------------------------------- preprocessing


def test_numbers_are_standardised_and_categories_one_hot():
    m = 300
    values, names = RNG.standard_normal(m) * 1e6 + 1e7, RNG.choice(["b", "a", "c"], m)
    gaps = np.where(RNG.random(m) < 0.2, np.nan, RNG.random(m))
    table = as_table({"x": values, "gaps": gaps, "name": names})
    prepared = Preprocessing.of(table)
    X = prepared.transform(table, np.float64)
    assert prepared.input_names == ["x", "gaps", "gaps is missing", "name=a", "name=b", "name=c"]
    np.testing.assert_allclose(X[:, 0], (values - values.mean()) / values.std(), rtol=1e-12, atol=1e-12)
    filled = (np.where(np.isnan(gaps), np.nanmedian(gaps), gaps) - np.nanmean(gaps)) / np.nanstd(gaps)
    np.testing.assert_allclose(X[:, 1], filled, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(X[:, 2], np.isnan(gaps))
    np.testing.assert_array_equal(X[:, 3:], names[:, None] == np.array(["a", "b", "c"]))
    again = Preprocessing.from_json("columns", json.loads(json.dumps(prepared.to_json())))
    assert again == prepared
    np.testing.assert_array_equal(again.transform(table), prepared.transform(table))


def test_columns_that_say_nothing_are_left_out():
    m = 60
    table = as_table(
        {
            "x": RNG.standard_normal(m),
            "one": [3.0] * m,
            "same": ["x"] * m,
            "nothing": [None] * m,
            "id": [f"person {i}" for i in range(m)],
            "flag": [1.0] * 30 + [None] * 30,  # whether it is there may say something
        }
    )
    prepared = Preprocessing.of(table)
    assert prepared.input_names == ["x", "flag", "flag is missing"]
    assert prepared.left_out == {
        "one": "always the same number",
        "same": "always the same text",
        "nothing": "nothing in it",
        "id": "60 different texts in 60 rows",
    }
    assert "id=person 7" in Preprocessing.of(table, keep=["id"]).input_names
    with pytest.raises(ValueError, match=r"no column of the table can be learned from.*one: always"):
        Preprocessing.of(as_table({"one": [1, 1]}))


def test_of_many_categories_the_most_frequent_have_inputs():
    names = np.repeat([f"n{i:03}" for i in range(150)], np.r_[np.full(100, 9), np.full(50, 2)])
    table = as_table({"a": RNG.permutation(names)})
    prepared = Preprocessing.of(table)
    assert prepared.input_names == [f"a=n{i:03}" for i in range(100)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        X = prepared.transform(table)
    np.testing.assert_array_equal(X.sum(axis=1), np.char.less(np.array(table["a"].texts()), "n100"))


def test_what_a_table_lacks_or_has_otherwise_is_said():
    prepared = Preprocessing.of(as_table({"x": [1.0, 2.0], "name": ["a", "b"]}))
    with pytest.raises(ValueError, match="lacks 'x', 'name': it has 'y'"):
        prepared.transform(as_table({"y": [1]}))
    with pytest.raises(ValueError, match="'x' holds texts \\('1'"):
        prepared.transform(as_table({"x": ["1"], "name": ["a"]}))
    with pytest.raises(ValueError, match="'x' has in row 1 a number too large for float32"):
        prepared.transform(as_table({"x": [1.0, 1e300], "name": ["a", "b"]}))
    with pytest.warns(UserWarning, match="name: 'z'"):
        X = prepared.transform(as_table({"x": [np.nan], "name": ["z"]}))
    assert X.tolist() == [[0.0, 0.0, 0.0]]


@pytest.mark.parametrize("scale", [1e-300, 1e-20, 1.0, 1e20, 1e300])
def test_numbers_of_any_size_are_standardised(scale):
    values = RNG.standard_normal(50)
    X = Preprocessing.of(as_table({"x": values * scale})).transform(as_table({"x": values * scale}), np.float64)
    np.testing.assert_allclose(X[:, 0], (values - values.mean()) / values.std(), rtol=1e-9, atol=1e-9)
    near = as_table({"x": 0.1 + np.zeros(50), "y": values})
    assert Preprocessing.of(near).input_names == ["y"]


# ---------------------------------------------------------------- splits


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5, 0.95])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 10])
def test_a_split_keeps_every_group_in_training_and_the_share_of_all(share, size):
    table = as_table({"class": [f"c{i}" for i in range(60)] * size + ["one"]})
    if size == 1:
        with pytest.raises(ValueError, match="no value of 'class' occurs twice"):
            split(table, share, by="class")
        return
    train, held = split(table, share, by="class")
    assert len(set(train["class"].texts())) == 61
    assert held.n_rows == min(round(share * table.n_rows), 60 * (size - 1))
    counts = held["class"].counts()[:60]
    assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_a_split_is_random_complete_and_by_class(share):
    table = as_table({"row": np.arange(1000), "class": np.repeat(["a", "b", "c"], [700, 280, 20])})
    train, held = split(table, share, by="class", seed=3)
    rows = train["row"].values.tolist(), held["row"].values.tolist()
    assert sorted(rows[0] + rows[1]) == list(range(1000))
    assert [rows[0], rows[1]] == [sorted(rows[0]), sorted(rows[1])]
    assert dict(zip(held["class"].names, held["class"].counts(), strict=True)) == {
        "a": 700 * share, "b": 280 * share, "c": 20 * share
    }  # fmt: skip
    same, other = split(table, share, by="class", seed=3)[1], split(table, share, by="class", seed=4)[1]
    assert texts(same) == texts(held) != texts(other)


def test_a_split_of_few_rows_leaves_some_on_both_sides():
    for m, share in ((2, 0.01), (2, 0.99), (3, 0.2), (10, 0.95)):
        for by in (None, "b"):
            train, held = split(as_table({"a": np.arange(m), "b": np.arange(m) // 2}), share, by=by)
            assert min(train.n_rows, held.n_rows) > 0
            assert train.n_rows + held.n_rows == m
    for share in (0, 1, -1, float("nan")):
        with pytest.raises(ValueError, match="share"):
            split(as_table({"a": [1, 2]}), share)
    with pytest.raises(ValueError, match="one row"):
        split(as_table({"a": [1]}))
    with pytest.raises(ValueError, match="no value of 'a' occurs twice"):
        split(as_table({"a": ["x", "y", "z"]}), by="a")
    train, _ = split(as_table({"a": ["x", "y", "y", "z"]}), 0.9, by="a")
    assert sorted(train["a"].texts()) == ["x", "y", "z"]  # what is held out was trained on as well


# ---------------------------------------------------------------- models


@pytest.mark.parametrize("target", ["price", "dear", "is_new", "town"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_model_is_the_network_on_prepared_columns(target, dtype, tmp_path):
    columns = people()
    model = fn.TableModel(target, hidden=[8, fn.LayerNorm("tanh")], dtype=dtype, seed=5)
    history = model.fit(columns, epochs=3, batch_size=16, verbose=False, validation_data=people(50, 1))
    assert history.epochs == 3
    assert "validation_cost" in history

    table = as_table(columns)
    others = Table({name: column for name, column in table.items() if name != target})
    X = Preprocessing.of(others).transform(others, dtype)
    y = columns[target]
    output = {"price": fn.Dense(1), "town": fn.Dense(3, "softmax")}.get(target, fn.Dense(1, "sigmoid"))
    net = fn.Network([fn.Dense(8, "relu"), fn.LayerNorm("tanh"), output], dtype=dtype, seed=5)
    scaled = (y - y.mean()) / y.std() if target == "price" else y
    net.fit(X, scaled, epochs=3, batch_size=16, optimizer=fn.Adam(), verbose=False)
    expected = net.predict(X)
    if target == "price":
        expected = expected.astype(np.float64) * y.std() + y.mean()
    if target == "price":
        np.testing.assert_allclose(model.predict(columns), expected, rtol=1e-12)
    else:
        np.testing.assert_array_equal(model.predict(columns), expected)

    path = tmp_path / "model.safetensors"
    model.save(path)
    again = fn.TableModel.load(path)
    new = {name: values for name, values in people(30, 2).items() if name != target}
    np.testing.assert_array_equal(again.predict(new), model.predict(new))
    assert again.evaluate(columns) == model.evaluate(columns)
    if target == "price":
        with pytest.raises(ValueError, match="labels"):
            _ = model.labels
    else:
        found = again.predict_proba(new)
        assert found.shape == (30, len(model.labels))
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
        np.testing.assert_array_equal(model.labels[found.argmax(axis=1)], again.predict(new))


def test_a_model_learns_and_says_how_well():
    model = fn.TableModel("price", hidden=[32], seed=1)
    model.fit(people(1000), epochs=60, verbose=False)
    found = model.evaluate(people(200, 3))
    predicted, truth = model.predict(people(200, 3)), people(200, 3)["price"]
    assert found["r2"] > 0.8
    assert found["mean_absolute_error"] == pytest.approx(np.abs(predicted - truth).mean())
    assert found["root_mean_squared_error"] == pytest.approx(np.sqrt(((predicted - truth) ** 2).mean()))


def test_training_goes_on(tmp_path):
    whole = fn.TableModel("dear", seed=2)
    whole.fit(people(), epochs=6, verbose=False)
    halves = fn.TableModel("dear", seed=2)
    halves.fit(people(), epochs=3, verbose=False)
    halves.save(tmp_path / "model.safetensors", training=True)
    halves = fn.TableModel.load(tmp_path / "model.safetensors")
    history = halves.fit(people(), epochs=6, verbose=False, resume=True)
    assert history.epochs == 6
    np.testing.assert_array_equal(halves.network.buffer, whole.network.buffer)


def test_whole_numbers_of_few_values_are_labels_unless_told_otherwise():
    columns = {"x": RNG.standard_normal(60), "few": RNG.integers(3, 6, 60), "many": np.arange(60)}
    for target, task, expected in (
        ("few", None, "classification"),
        ("few", "regression", "regression"),
        ("many", None, "regression"),
        ("many", "classification", "classification"),
        ("x", None, "regression"),
    ):
        model = fn.TableModel(target, task=task, hidden=[])
        model.fit(columns, epochs=1, verbose=False)
        assert model.target.task == expected
    assert fn.TableModel("few", hidden=[]).fit(columns, epochs=1, verbose=False).epochs == 1
    model = fn.TableModel("few", hidden=[])
    model.fit(columns, epochs=1, verbose=False)
    assert model.labels.tolist() == [3, 4, 5]


def test_settings_make_the_hidden_layers():
    model = fn.TableModel("price", hidden=[4, 3], activation="tanh", dropout=0.1, batch_norm=True)
    model.fit(people(40), epochs=1, verbose=False)
    kinds = [type(layer).__name__ for layer in model.network.layers]
    assert kinds == ["Dense", "BatchNorm", "Dropout", "Dense", "BatchNorm", "Dropout", "Dense"]
    named = fn.TableModel("dear", categories=["age"], ignore=["price", "is_new"])
    named.fit(people(), epochs=1, verbose=False)
    assert {name.split("=")[0] for name in named.preprocessing.input_names} == {"age", "town"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden": 5}, "hidden=5 is no list"),
        ({"hidden": [0]}, "hidden=0 is below 1"),
        ({"hidden": [5], "dropout": 1.5}, "1.5"),
        ({"activation": "swoosh"}, "swoosh"),
        ({"categories": "age"}, "categories='age' is a text"),
        ({"categories": 3}, "categories=3 is a int"),
        ({"task": "sorting"}, "task='sorting' is not known"),
        ({"ignore": ["price"]}, "ignore has the target"),
        ({"seed": -1}, "seed=-1"),
        ({"dtype": "float16"}, "dtype"),
        ({"device": "tpu"}, "tpu"),
    ],
)
def test_settings_that_cannot_be_are_refused_at_once(options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        fn.TableModel("price", **options)


@pytest.mark.parametrize(
    ("model", "change", "message"),
    [
        ({"target": "prise"}, {}, "lacks 'prise': it has 'age'"),
        ({"target": "town", "task": "regression"}, {}, "'town' holds texts"),
        ({"target": "price", "task": "classification"}, {"price": [0.5] * 200}, "labels are whole"),
        ({"target": "price"}, {"price": [1.0, np.nan] * 100}, "missing in 100 of 200 rows, first in row 1"),
        ({"target": "dear"}, {"dear": ["no"] * 200}, "always 'no'"),
        ({"target": "price", "categories": ["agee"]}, {}, "lacks 'agee'"),
    ],
)
def test_tables_that_do_not_fit_leave_a_model_untrained(model, change, message):
    model = fn.TableModel(**model)
    with pytest.raises(ValueError, match=message):
        model.fit(people() | change, epochs=1, verbose=False)
    with pytest.raises(ValueError, match="epochs"):
        fn.TableModel("price").fit(people(), epochs=0, verbose=False)
    assert not model.is_fitted
    for use in (model.predict, model.evaluate, model.save, lambda table: model.labels):
        with pytest.raises(RuntimeError, match="not been trained yet"):
            use(people())


def test_new_tables_are_held_against_the_training():
    model = fn.TableModel("dear")
    model.fit(people(), epochs=1, verbose=False)
    new = people(20)
    with pytest.raises(ValueError, match="the table lacks 'town'"):
        model.predict({name: values for name, values in new.items() if name != "town"})
    with pytest.raises(ValueError, match="the table lacks 'dear'"):
        model.evaluate({name: values for name, values in new.items() if name != "dear"})
    with pytest.raises(ValueError, match="labels that were not there in training"):
        model.evaluate(new | {"dear": ["maybe"] * 20})
    with pytest.raises(ValueError, match="'age' holds"):
        model.predict(new | {"age": ["x"] * 20})
    reordered = dict(reversed((new | {"more": [1] * 20}).items()))
    np.testing.assert_array_equal(model.predict(reordered), model.predict(new))


def test_files_say_what_they_are(tmp_path):
    path = tmp_path / "model.safetensors"
    model = fn.TableModel("dear", hidden=[4])
    model.fit(people(), epochs=1, verbose=False)
    model.save(path)
    with pytest.raises(fn.ModelFileError, match=r"load it with fastnet\.TableModel\.load"):
        fn.load(path)
    fn.Network([fn.Dense(1)]).build(2).save(path)
    with pytest.raises(fn.ModelFileError, match=r"load it with fastnet\.load"):
        fn.TableModel.load(path)


def test_damaged_tables_in_files_are_refused(tmp_path):
    from fastnet.storage.model_file import reading, write

    path = tmp_path / "model.safetensors"
    model = fn.TableModel("dear", hidden=[4])
    model.fit(people(), epochs=1, verbose=False)
    model.save(path)
    with reading(path) as (metadata, tensors):
        arrays = {name: tensor.read() for name, tensor in tensors.items()}
    whole = json.loads(metadata["table"])
    column = whole["columns"][0]
    for damaged in (
        "no JSON",
        {},
        whole | {"more": 1},
        whole | {"columns": whole["columns"][1:]},
        whole | {"columns": [column, *whole["columns"]]},
        whole | {"columns": []},
        whole | {"columns": [column | {"scale": 0.0}, *whole["columns"][1:]]},
        whole | {"columns": [column | {"mean": float("nan")}, *whole["columns"][1:]]},
        whole | {"columns": [column | {"kind": "date"}, *whole["columns"][1:]]},
        whole | {"columns": [column | {"kind": ["number"]}, *whole["columns"][1:]]},
        whole | {"columns": [column | {"name": 3}, *whole["columns"][1:]]},
        whole | {"columns": [column | {"name": "dear"}, *whole["columns"][1:]]},
        whole | {"columns": [column | {"marks_missing": 1}, *whole["columns"][1:]]},
        whole | {"target": whole["target"] | {"task": "regression"}},
        whole | {"target": whole["target"] | {"kind": "date"}},
        whole | {"target": whole["target"] | {"scale": -1}},
        whole | {"target": whole["target"] | {"name": None}},
        whole | {"target": whole["target"] | {"kind": "number"}},
        whole | {"target": whole["target"] | {"scale": 5.0}},
    ):
        text = damaged if isinstance(damaged, str) else json.dumps(damaged)
        write(path, metadata | {"table": text}, arrays)
        with pytest.raises(fn.ModelFileError, match="damaged fastnet model"):
            fn.TableModel.load(path)


@pytest.mark.parametrize("target", ["price", "dear", "town"])
def test_onnx_files_prepare_the_columns(target, tmp_path):
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    model = fn.TableModel(target, hidden=[8, fn.BatchNorm("gelu")], dtype="float64")
    model.fit(people(), epochs=5, verbose=False)
    path = tmp_path / "model.onnx"
    model.to_onnx(path)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    new = {name: values for name, values in people(33, 4).items() if name != target}
    if "town" in new:
        new["town"][:3] = ["", "Rome", "Ulm"]
    table = as_table(
        {
            name: [value or None if isinstance(value, str) else value for value in values.tolist()]
            for name, values in new.items()
        }
    )
    feed = {}
    for name in model.preprocessing.kinds:
        column = table[name]
        is_number = isinstance(column, Numbers)
        feed[name] = (column.values if is_number else np.array(column.texts(), object))[:, np.newaxis]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert {each.name for each in session.get_inputs()} == set(feed)
    (found,) = session.run(["output"], feed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = model.predict(table) if target == "price" else model.predict_proba(table)
    if target == "dear":
        expected = expected[:, 1]
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-4, atol=1e-5)


def test_a_category_that_is_a_number_has_one_name_wherever_it_stands():
    pandas, polars, pyarrow = (pytest.importorskip(name) for name in ("pandas", "polars", "pyarrow"))
    large = [2**60 + i for i in range(3)]
    for make in (
        lambda values: values,
        pandas.Series,
        lambda values: pandas.Series(values, dtype="Int64"),
        lambda values: polars.Series(values),
        lambda values: pyarrow.chunked_array([values]),
    ):
        for values, names in (([1, 2, 3], "123"), (large, map(str, large))):
            assert as_table({"a": make(values)}, kinds={"a": "category"})["a"].texts() == list(names)
    gaps = [2**60 + 1, None, 2**60 + 2]
    for column in (pandas.Series(gaps, dtype="Int64"), polars.Series(gaps), pyarrow.array(gaps), gaps):
        assert as_table({"a": column}, kinds={"a": "category"})["a"].texts() == [str(gaps[0]), "", str(gaps[2])]
    assert Numbers(np.array([1.0, 2.5, -0.0, np.nan])).texts() == ["1", "2.5", "0", ""]
    table = as_table({"a": [1, 2], "y": [0.5, 1.5]})
    assert isinstance(as_table(table, kinds={"a": "category"})["a"], Categories)


def test_what_is_missing_in_a_dictionary_of_arrow_stays_missing(tmp_path):
    pandas, pyarrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    column = pyarrow.array(["x", None, "y"]).dictionary_encode()
    for given in (column, pyarrow.chunked_array([column])):
        assert as_table({"a": given})["a"].texts() == ["x", "", "y"]
        with pytest.raises(ValueError, match="y holds None in row 1"):
            fn.Network([fn.Dense(1, "sigmoid")]).fit(np.zeros((3, 1)), given, verbose=False)
    frame = pandas.DataFrame({"a": pandas.Categorical(["x", None, "y", "y"]), "n": pandas.Categorical([1, None, 2, 1])})
    frame.to_parquet(tmp_path / "t.parquet")
    for table in (read_table(tmp_path / "t.parquet"), as_table(frame)):
        assert texts(table) == {"a": ["x", "", "y", "y"], "n": ["1", "", "2", "1"]}


def test_a_pipe_is_read_from_its_first_byte(tmp_path):
    import os
    import threading

    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_text("a;b\n" + "1;x\n" * 20_000))
    writer.start()
    table = read_table(path)
    writer.join()
    assert table.n_rows == 20_000
    assert list(table) == ["a", "b"]


def test_lines_that_say_nothing_before_the_names(csv):
    table = read_table(csv("\n\nx;y\n1;2\n3;4,5\n"), decimal=",")
    assert texts(table) == {"x": ["1", "3"], "y": ["2", "4.5"]}
    assert table.place(1) == "line 5"


def test_categories_of_which_none_is_known_are_said_however_many_there_were():
    names = [f"n{i}" for i in range(150)] * 3
    prepared = Preprocessing.of(as_table({"a": names}))
    with pytest.warns(UserWarning, match="a: 'z'"):
        prepared.transform(as_table({"a": ["z"]}))


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_targets_of_any_size(scale):
    y = np.arange(1.0, 41) * scale
    model = fn.TableModel("y", hidden=[8], task="regression", dtype="float64")
    model.fit({"x": np.arange(40.0), "y": y}, epochs=1000, verbose=False)
    np.testing.assert_allclose(model.predict({"x": [10.0, 30.0]}) / scale, [11, 31], atol=2)
    constant = fn.TableModel("y", hidden=[2], task="regression")
    constant.fit({"x": np.arange(40.0), "y": np.full(40, 1.1)}, epochs=1, verbose=False)
    assert constant.target.scale == 1


def test_onnx_files_of_large_numbers_and_of_names_that_they_need(tmp_path):
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    columns = {"t": 1.7e9 + np.arange(50), "y": 1e9 + np.arange(50) % 7}
    model = fn.TableModel("y", hidden=[8], task="regression")
    model.fit(columns, epochs=20, verbose=False)
    model.to_onnx(tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(["output"], {"t": columns["t"][:, np.newaxis]})
    np.testing.assert_allclose(found[:, 0] - 1e9, model.predict(columns) - 1e9, atol=1e-4)
    for name in ("output", "W1", "fill_0", ""):
        model = fn.TableModel("y", hidden=[2], task="regression")
        model.fit({name: columns["t"], "y": columns["y"]}, epochs=1, verbose=False)
        with pytest.raises(ValueError, match="rename the column"):
            model.to_onnx(tmp_path / "n.onnx")


def test_a_boolean_target_comes_back_as_booleans(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"x": np.arange(40.0), "y": np.arange(40) > 20})
    model = fn.TableModel("y", hidden=[4])
    model.fit(frame, epochs=200, verbose=False)
    model.save(tmp_path / "m.safetensors")
    for each in (model, fn.TableModel.load(tmp_path / "m.safetensors")):
        assert (each.predict(frame) == frame["y"]).mean() > 0.9
        assert each.labels.tolist() == [False, True]
        assert each.evaluate(frame)["accuracy"] > 0.9
        frame.to_csv(tmp_path / "t.csv")
        assert each.evaluate(tmp_path / "t.csv") == each.evaluate(frame)
    with pytest.raises(ValueError, match="target 'y' holds 'maybe': in training it was True or False"):
        model.evaluate({"x": [1.0], "y": ["maybe"]})


def test_a_column_of_categories_may_be_missing_in_all_rows():
    columns = {"x": np.arange(20.0), "c": [None] * 20, "y": np.arange(20.0)}
    model = fn.TableModel("y", hidden=[2], categories=["c"])
    model.fit(columns, epochs=1, verbose=False)
    model.fit(columns, epochs=1, verbose=False)
    assert model.preprocessing.left_out == {"c": "nothing in it"}


def test_decimal_commas_are_not_taken_for_names_in_silence(csv):
    path = csv("a;b\n1,5;x\n2,25;y\n")
    with pytest.warns(UserWarning, match="'a' look like numbers with a decimal comma"):
        assert isinstance(read_table(path)["a"], Categories)
    assert read_table(path, decimal=",")["a"].values.tolist() == [1.5, 2.25]
