"""`fastnet train`, `predict`, `evaluate` and `summary`, from a file to predictions."""

import csv
import gzip

import numpy as np
import pytest

import fastnet as fn
from fastnet.cli import main

TOWNS = ["Bonn", "Kiel", "Ulm"]


def rows_of(m, seed=0):
    """id, age (some missing), town, price and whether it is dear."""
    rng = np.random.default_rng(seed)
    age, town = rng.integers(18, 80, m), rng.integers(0, 3, m)
    price = 3 * age + 50 * town
    gone = rng.random(m) < 0.05
    ages = ["" if gone[i] else str(age[i]) for i in range(m)]
    dear = np.where(price > 200, "yes", "no")
    return [[f"id-{i}", ages[i], TOWNS[town[i]], f"{price[i] / 7:.4f}", str(dear[i])] for i in range(m)]


@pytest.fixture
def table(tmp_path, monkeypatch):
    """`table(m)`: the path of a CSV file of so many rows, in the folder that is the current one."""
    monkeypatch.chdir(tmp_path)

    def write(m=300, seed=0, name="table.csv", names=("id", "age", "town", "price", "dear"), bad=()):
        lines = [",".join(names), *(",".join(row) for row in rows_of(m, seed))]
        for place, line in bad:
            lines[place - 1] = line
        text = "\n".join(lines) + "\n"
        (tmp_path / name).write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
        return name

    return write


def run(capsys, *arguments):
    """The exit status and both outputs."""
    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit as end:
        status = end.code
    return status, *capsys.readouterr()


def train(capsys, table, *more, target="dear"):
    return run(capsys, "train", table, "--target", target, "--output", "m.safetensors", "--quiet", *more)


def read(name):
    with open(name, newline="") as file:
        return list(csv.DictReader(file))


def test_labels_from_a_file_to_predictions(table, capsys):
    status, out, err = train(capsys, table(name="table.csv.gz"), "--ignore", "price", "--epochs", 80, "--hidden", "16")
    assert (status, err) == (0, "")
    assert "id             category           not used: 240 different texts in 240 rows" in out
    assert "town           category           " in out
    assert "80 epochs on 240 rows" in out
    assert "on 60 rows" in out
    assert "truth  as no  as yes  precision  recall  rows" in out

    # In another order, with another column, and without the target.
    new = rows_of(50, seed=9)
    with open("new.csv", "w") as file:
        file.write("town;more;id;age\n" + "".join(f"{row[2]};1;{row[0]};{row[1]}\n" for row in new))
    status, out, err = run(
        capsys, "predict", "m.safetensors", "new.csv", "--output", "p.csv", "--keep", "id,age", "--probabilities"
    )
    assert (status, out, err) == (0, "50 predictions of 'dear' in p.csv\n", "")
    found = read("p.csv")
    assert list(found[0]) == ["id", "age", "dear", "probability of no", "probability of yes"]
    assert [row["id"] for row in found] == [row[0] for row in new]
    assert [row["age"] for row in found] == [row[1] for row in new]
    assert np.mean([row["dear"] == given[4] for row, given in zip(found, new, strict=True)]) > 0.9
    model = fn.TableModel.load("m.safetensors")
    proba = model.predict_proba({"age": [float(row[1] or "nan") for row in new], "town": [row[2] for row in new]})
    np.testing.assert_allclose([float(row["probability of yes"]) for row in found], proba[:, 1], rtol=1e-6)

    status, out, err = run(capsys, "evaluate", "m.safetensors", table(50, 9))
    share = np.mean([row["dear"] == given[4] for row, given in zip(found, new, strict=True)])
    assert (status, err) == (0, "")
    assert out.startswith(f"accuracy {share:.1%}")

    status, out, err = run(capsys, "summary", "m.safetensors")
    assert "predicts 'dear', one of 2 labels: no, yes" in out
    assert "town    category  3 inputs: Bonn, Kiel, Ulm" in out


def test_numbers_from_a_file_to_errors(table, capsys):
    status, out, err = train(capsys, table(), "--epochs", 200, "--patience", 50, "--ignore", "dear,id", target="price")
    assert (status, err) == (0, "")
    assert "epochs on 216 rows" in out  # a tenth is watched
    assert "mean absolute error" in out
    assert "furthest off  line " in out
    run(capsys, "predict", "m.safetensors", table(200, 6, "new.csv"), "--output", "p.csv", "--keep", "price")
    found = read("p.csv")
    assert list(found[0]) == ["price", "predicted price"]
    truth, predicted = (np.array([float(row[name]) for row in found]) for name in found[0])
    assert np.corrcoef(truth, predicted)[0, 1] > 0.9
    status, out, err = run(capsys, "predict", "m.safetensors", "new.csv", "--output", "p.csv", "--probabilities")
    assert status == 2
    assert "predicts numbers" in err


def test_the_same_seed_gives_the_same_file(table, capsys):
    contents = []
    for seed in (3, 3, 4):
        train(capsys, table(), "--epochs", 2, "--seed", seed)
        with open("m.safetensors", "rb") as file:
            contents.append(file.read())
    assert contents[0] == contents[1] != contents[2]


def test_bad_rows_are_said_and_left_out_only_if_asked(table, capsys):
    bad = [(5, "only two,fields"), (9, "i,old,Ulm,1,no"), (12, "i,30,Ulm,1,")]
    status, _, err = train(capsys, table(bad=bad), "--epochs", 1)
    assert status == 2
    assert "line 5: 2 fields, and there are 5 columns" in err
    assert "line 9: age is 'old', which is no number" in err
    status, out, err = train(capsys, table(bad=bad), "--epochs", 1, "--skip-bad-rows")
    assert status == 0
    assert "has 2 rows that are bad" in err
    assert "left out: 1 rows without 'dear', the first in line 12" in err
    assert "297 rows" in out
    status, _, err = train(capsys, table(bad=bad[2:]), "--epochs", 1)
    assert status == 2
    assert "target 'dear' is missing in 1 of 300 rows, first in line 12" in err
    status, _, err = run(capsys, "predict", "m.safetensors", table(bad=bad[1:2], name="n.csv"), "--output", "p.csv")
    assert status == 2
    assert "line 9" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "deer", "--output", "m.safetensors"], "lacks 'deer': it has 'id', 'age'"),
        (["--target", "dear", "--output", "none/m.safetensors"], "there is no folder 'none'"),
        (["--target", "dear", "--output", "m.safetensors", "--epochs", "0"], "epochs=0"),
        (["--target", "dear", "--output", "m.safetensors", "--held-out", "1"], "--held-out 1.0"),
        (["--target", "dear", "--output", "m.safetensors", "--learning-rate", "-1"], "learning_rate=-1.0"),
        (["--target", "town", "--output", "m.safetensors", "--task", "regression"], "'town' holds texts"),
        (["--target", "dear", "--output", "m.safetensors", "--hidden", "8,x"], "no list of whole numbers"),
        (["--target", "dear", "--output", "m.safetensors", "--categories", "street"], "lacks 'street'"),
        (["--target", "dear", "--output", "m.safetensors", "--plot", "picture.xyz"], "unknown kind of picture"),
        (["--target", "dear", "--output", "m.onnx"], "end its name with .safetensors"),
        (["--target", "id", "--output", "m.safetensors"], "no value of 'id' occurs twice"),
        (["--target", "dear", "--output", "m.safetensors", "--ignore", "street"], "lacks 'street'"),
        (["--target", "price", "--output", "m.safetensors", "--learning-rate", "1e30"], "cost"),
        (["--output", "m.safetensors"], "required: --target"),
        (["--target", "dear"], "required: --output"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_written(arguments, message, table, tmp_path, capsys):
    status, _, err = run(capsys, "train", table(), *arguments)
    assert status == 2
    assert message in err
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


@pytest.mark.parametrize("seed", range(4))
def test_the_task_does_not_depend_on_which_rows_are_held_out(seed, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with open("t.csv", "w") as file:
        file.write("x,y\n" + "".join(f"{i},{i % 10 if i else 10}\n" for i in range(60)))
    status, out, err = run(
        capsys, "train", "t.csv", "--target", "y", "--output", "m.safetensors", "--epochs", 1, "--seed", seed, "--quiet"
    )
    assert (status, err) == (0, "")
    assert "R2" in out


def test_models_and_tables_that_do_not_go_together(table, capsys, tmp_path):
    train(capsys, table(), "--epochs", 1)
    with open("other.csv", "w") as file:
        file.write("age,street\n3,x\n")
    for command in (
        ["predict", "m.safetensors", "other.csv", "--output", "p.csv"],
        ["evaluate", "m.safetensors", "other.csv"],
    ):
        status, _, err = run(capsys, *command)
        assert status == 2
        assert "other.csv lacks 'town', 'price'" in err
        assert "it has 'age', 'street'" in err
    assert not (tmp_path / "p.csv").exists()
    for output in ("table.csv", "./table.csv"):
        status, _, err = run(capsys, "predict", "m.safetensors", "table.csv", "--output", output)
        assert status == 2
        assert "which would be lost" in err
    fn.Network([fn.Dense(1)]).build(2).save("net.safetensors")
    status, _, err = run(capsys, "predict", "net.safetensors", "table.csv", "--output", "p.csv")
    assert status == 2
    assert "is a network and knows no table" in err
    assert run(capsys, "summary", "net.safetensors")[0] == 0
    assert run(capsys, "summary", "none.safetensors")[0] == 2
    with open("strange.csv", "w") as file:
        file.write("age,town,price\n3,Rome,1\n")
    status, _, err = run(capsys, "predict", "m.safetensors", "strange.csv", "--output", "p.csv", "--probabilities")
    assert status == 0
    assert err.count("warning") == 1
    assert "warning: categories that the training did not have are taken for none (town: 'Rome')" in err


@pytest.mark.parametrize("target", ["dear", "town", "price"])
def test_pictures(table, capsys, tmp_path, target):
    pytest.importorskip("matplotlib")
    status, out, _ = train(capsys, table(), "--epochs", 3, "--plot", "picture.png", target=target)
    assert status == 0
    assert "picture  picture.png" in out
    assert (tmp_path / "picture.png").read_bytes()[:4] == b"\x89PNG"


def test_many_labels_are_shown_by_those_with_the_most_errors():
    from fastnet.tables.describing import confusion_text

    labels = np.array([f"l{i:02}" for i in range(30)])
    truth = np.repeat(labels, 4)
    predicted = truth.copy()
    predicted[100:102] = "l00"
    text = confusion_text(truth, predicted, labels).splitlines()
    assert text[0].split() == ["truth", "precision", "recall", "rows"]
    assert text[1].split() == ["l25", "100.0%", "50.0%", "4"]
    assert text[-1] == "the 20 of 30 labels with the most errors"
    few = confusion_text(truth[:8], np.array(["l00"] * 6 + ["l01"] * 2), labels[:2]).splitlines()
    assert [line.split() for line in few[1:]] == [
        ["l00", "4", "0", "66.7%", "100.0%", "4"],
        ["l01", "2", "2", "100.0%", "50.0%", "4"],
    ]
