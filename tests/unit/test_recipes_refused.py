"""Recipes, overrides and files that are wrong: each refused by its key, file or line."""

import pytest
import yaml

from bidsapp.errors import NoInput, UsageError
from bidsapp.intake import yamltext
from bidsapp.recipes import load_recipe
from bidsapp.recipes.catalog import packaged
from bidsapp.recipes.section import Section
from tests.faults.mutations import STRUCTURE, TEXT, damaged

MINIMAL = "name: mine\nsummary: A test\nnetwork: {weights: random}\n"

# What is laid over attias2025, and the key or word that the message must name.
BAD_VALUES = [
    (["training.epoch=3"], "training.epoch: unknown key; did you mean training.epochs?"),
    (["trainin.epochs=3"], "did you mean training?"),
    (["epochs=3"], "did you mean training.epochs?"),
    (["training.epochs=0"], "training.epochs: should be greater than or equal to 1, got 0"),
    (["training.epochs=five"], "training.epochs: should be a whole number, got 'five'"),
    (["training.epochs=true"], "training.epochs: should be a whole number, got true"),
    (["training.epochs=.5"], "training.epochs: should be a whole number, got 0.5"),
    (["training.epochs={a: 1}"], "training.epochs"),
    (["training.epochs="], "training.epochs: should be a whole number, got nothing"),
    (["training=5"], "training: should be a section"),
    (["training.lr.head=0"], "training.lr.head"),
    (["training.lr.head=.inf"], "training.lr.head: should be a finite number"),
    (["training.lr=1e-3"], "training.lr: should be a section"),
    (["training.augmentation.flip=1.5"], "training.augmentation.flip"),
    (["training.positive_weight=-1"], "training.positive_weight"),
    (["training.checkpoint=inner"], "training.checkpoint: inner needs"),
    (["training.early_stopping={patience: 3}"], "training.early_stopping: needs"),
    (["training.checkpoint=test_fold"], "training.checkpoint: test_fold is refused in strict mode"),
    (["mode=loose"], "mode: should be 'strict' or 'paper'"),
    (
        ["outcome={column: pain, positive: [1], expression: pain > 3}"],
        "outcome.column: give either",
    ),
    (["outcome.rows=3"], "outcome.rows: goes with outcome.expression only"),
    (["outcome.column="], "outcome.column: required with positive"),
    (["outcome.positive="], "outcome.positive: required"),
    (["outcome.positive=[]"], "outcome.positive: should have at least 1 items"),
    (["outcome.positive=chronic"], "outcome.positive: should be a list, got 'chronic'"),
    (["outcome.positive=[1, 1]"], "outcome.positive: names the same thing twice"),
    (["outcome.positive=[[1]]"], "outcome.positive.0: should be text or a number"),
    (["inputs.suffix=bold"], "inputs.suffix: should be 'T1w'"),
    (["preparation.resolution=3"], "preparation.resolution: should be 1 or 2, got 3"),
    (["preparation.resolution=true"], "preparation.resolution: should be a whole number"),
    (["preparation.template=MNI 152"], "preparation.template"),
    (["preparation.template=OASIS30ANTs"], "preparation.box: spm12 is a box in MNI space"),
    (["preparation.seed=-1"], "preparation.seed"),
    (["preparation.space=mni"], "preparation.space: should be 'template' or 'native', got 'mni'"),
    (["representation.plane=axail"], "representation.plane: should be"),
    (["representation.slices=80"], "representation.slices: 80 is more than the 79 axial slices"),
    (["representation.slices=0"], "representation.slices"),
    (["representation.channels=[]"], "representation.channels"),
    (["representation.channels=[t1w, t1w]"], "representation.channels: names the same thing"),
    (
        ["representation.channels=[t2w]"],
        "representation.channels: 't2w' is unknown; did you",
    ),
    (["representation.pad=[80, 96, 80]"], "representation.pad: goes with kind volume only"),
    (
        ["representation={kind: volume, plane: axial}"],
        "representation.plane: goes with kind slab only; kind is volume",
    ),
    (["representation.kind=volume"], "variants.coronal.representation.plane: goes with kind slab"),
    (["representation.zscore=dataset"], "representation.zscore: dataset is refused in strict mode"),
    (["network.depth=20"], "network.depth: resnet offers 10, 18, 34, 50, got 20"),
    (["network.name=densenet"], "network.depth: densenet offers 121, got 18"),
    (["network={name: densenet, depth: 121}"], "network.start: there are no MedicalNet weights"),
    (["network={name: seresnext, depth: 50, dilation: true}"], "network.dilation: seresnext has"),
    (["network={name: densenet, depth: 121, shortcut: B}"], "network.shortcut: densenet has"),
    (["network.shortcut=B"], "network.shortcut: MedicalNet's weights for depth 18"),
    (["network.stem_stride=true"], "network.stem_stride: should be a whole number"),
    (["network.start="], "network.start"),
    (
        ["representation.channels=[t1w, log_jacobian]"],
        "network.start: MedicalNet's weights take one channel",
    ),
    (["protocol.folds=1"], "protocol.folds"),
    (["protocol.test_size=.2"], "protocol.test_size: goes with kind holdout or temporal only"),
    (["protocol.kind=holdout"], "protocol.test_size: required with kind holdout"),
    (["protocol={kind: holdout, test_size: .2, folds: 5}"], "protocol.folds: goes with kind"),
    (["protocol={kind: holdout, test_size: 1}"], "protocol.test_size"),
    (["protocol.kind=temporal"], "protocol.test_size: required with kind temporal"),
    (["protocol.shifted_alike=true"], "protocol.shifted_alike: goes with kind temporal only"),
    (["protocol={kind: temporal, test_size: .2, repeats: 3}"], "protocol.repeats: goes with kind"),
    (["protocol.kind=nested"], "protocol.inner.folds: required with kind nested"),
    (["protocol={kind: nested, inner: {folds: 5, size: .2}}"], "protocol.inner.size: kind nested"),
    (["protocol.inner.folds=5"], "protocol.inner.folds: goes with kind nested only"),
    (["protocol.kind=repeated_kfold"], "protocol.repeats: required with kind repeated_kfold"),
    (["protocol.repeats=3"], "protocol.repeats: goes with kind repeated_kfold"),
    (["protocol.kind=leave_one_group_out"], "protocol.groups: required with kind"),
    (["evaluation.predictors=[]"], "evaluation.predictors: required by the baselines logistic"),
    (["evaluation.baselines=[site]"], "evaluation.site: required by the baseline site"),
    (
        ["evaluation.baselines=[handcrafted]"],
        "evaluation.baselines: T1w MRI has no handcrafted features; leave out handcrafted",
    ),
    (["evaluation.permutations=0"], "evaluation.permutations: 0, and evaluation.tests asks"),
    (["evaluation.baselines=[svm]"], "evaluation.baselines.0"),
    (["evaluation.fitted_threshold=test_fold"], "evaluation.fitted_threshold: test_fold is"),
    (["evaluation.best_fold=true"], "evaluation.best_fold: true is refused in strict mode"),
    (["saliency.folds=best"], "saliency.folds: best is refused in strict mode"),
    (
        ["saliency.told_right_by=all_variants"],
        "saliency.told_right_by: all_variants is refused in strict mode",
    ),
    (["saliency.stage=2"], "saliency.stage: goes with method grad_cam only; method is gradient"),
    (["saliency.method=lime"], "saliency.method: should be"),
    (
        ["saliency={scale: minmax, absolute: false}"],
        "saliency.scale: minmax needs saliency.absolute: true",
    ),
    (["saliency.on_surface=true"], "saliency.on_surface: T1w MRI has no surfaces"),
    (["variants.x={network.depht: 3}"], "variants.x.network.depht: unknown key"),
    (["variants.x={network.depth: 3}"], "variants.x.network.depth: resnet offers"),
    (["variants.x={representation.zscore: dataset}"], "variants.x.representation.zscore: dataset"),
    (["variants.x={name: y}"], "variants.x.name: a variant may change"),
    (["variants.x={nmae: y}"], "variants.x.nmae: unknown key; did you mean name?"),
    (["variants.x=3"], "variants.x: should be a section"),
    (["representation.fitted=[[combat]]"], "representation.fitted: should be names of steps"),
    (["representation.fitted=[3]"], "representation.fitted: should be names of steps"),
    (["variants.x={network: }"], "variants.x.network: should be a section"),
    (["variants.x={training: [3]}"], "variants.x.training: should be a section"),
    (["variants.x={evaluation: none}"], "variants.x.evaluation: should be a section"),
    (["variants.axial={}"], "variants.axial: the name axial is the base already"),
    (["variants.all={}"], "variants.all: the name all"),
    (["variants.majority={}"], "variants.majority: the name majority is a baseline"),
    (["variants.a b={}"], "variants.a b"),
    (["ensembles.coronal={of: [axial, sagittal]}"], "ensembles.coronal: the name coronal is in"),
    (["ensembles.x={of: [axial, coronol]}"], "ensembles.x.of: variant 'coronol' is unknown"),
    (["ensembles.x={of: [axial]}"], "ensembles.x.of: should have at least 2 items"),
    (["ensembles.x={of: [axial, coronal], rule: vote}"], "ensembles.x.of: a majority vote needs"),
    (["ensembles.x={of: [axial, seed53]}"], "ensembles.x.of: axial and seed53 differ in protocol"),
    (["ensembles.x={rule: mean}"], "ensembles.x.of: required"),
    (["variants.resnet_10={network.depth: 10}"], "the name resnet_10 differs from resnet10 by"),
    (["run=[axial, nothing_such]"], "run: variant 'nothing_such' is unknown"),
    (["reported.axail={auc: .3}"], "reported.axail: variant, ensemble or baseline 'axail'"),
    (["reported.axial@worst={auc: .3}"], "reported.axial@worst: unknown scope worst"),
    (["reported.stratifed/xgboost={auc: .3}"], "reported.stratifed/xgboost: variant"),
    (["reported.stratified/site={auc: .3}"], "reported.stratified/site: baseline"),
    (["reported.axial={AUC: .3}"], "reported.axial.AUC: a metric's name"),
    (["reported.axial={auc: high}"], "reported.axial.auc: should be a number, got 'high'"),
    (["variants="], "variants: should be a section"),
    (["summary="], "summary: should be text"),
    (["name=a/b"], "name: "),
    ([f"variants.{'v' * 300}.training.epochs=3"], "should have at most 64 characters"),
    (["training.augmentation.noise=1e300"], "training.augmentation.noise: should be less than"),
    (
        [f"variants={{{', '.join(f'v{i}: {{}}' for i in range(501))}}}"],
        "variants: should have at most 500 items",
    ),
]


@pytest.mark.parametrize(("overrides", "message"), BAD_VALUES)
def test_a_bad_value_is_refused_by_its_key_and_its_override(overrides, message):
    with pytest.raises(UsageError) as caught:
        load_recipe("attias2025", overrides)
    assert message in str(caught.value)
    assert str(caught.value).startswith("recipe attias2025: ")
    assert all(f"set by {override[:100]}" in str(caught.value) for override in overrides)
    assert caught.value.exit_code == 64


@pytest.mark.parametrize("override", ["training.epochs", "=5", "training..epochs=5", ".a=1", ""])
def test_an_override_that_is_no_assignment_is_refused(override):
    with pytest.raises(UsageError, match="expected KEY=VALUE"):
        load_recipe("t1w", [override])


def test_of_very_many_problems_the_first_are_told_at_once(tmp_path):
    path = tmp_path / "many.yaml"
    path.write_text("name: many\n" + "".join(f"k{i}: 1\n" for i in range(20_000)))
    with pytest.raises(UsageError) as refused:
        load_recipe(path)
    said = str(refused.value).splitlines()
    assert "20002 problems" in said[0]  # a recipe needs two keys more
    told = len(said) - 2
    assert 15 <= told <= 20
    assert said[-1].strip() == f"and {20002 - told} more; mend these first"
    assert len(str(refused.value)) < 4000


def test_several_problems_come_in_one_message():
    with pytest.raises(UsageError) as caught:
        load_recipe("t1w", ["training.epochs=0", "protocol.folds=x"])
    first, *lines = str(caught.value).splitlines()
    assert first == "recipe t1w: 2 problems"
    assert "training.epochs" in lines[0]
    assert "set by training.epochs=0" in lines[0]
    assert "protocol.folds" in lines[1]
    assert "set by protocol.folds=x" in lines[1]


BAD_FILES = [
    ("", "the file is empty"),
    ("- a\n- b\n", "the file is a list"),
    ("just words\n", "the file is a line of text"),
    ("name: [a\n", "line 2"),
    ("name: a\nname: b\n", "line 2, column 1: the key name is given twice"),
    (MINIMAL + "training: {epochs: 1, epochs: 2}\n", "line 4, column 23: the key epochs"),
    (MINIMAL + "1: 2\n", "the key 1 is not text"),
    (MINIMAL + "true: 2\n", "the key true is not text"),
    (MINIMAL + "? [a, b]\n: 2\n", "not text"),
    (MINIMAL + "notes: &n text\nreference: *n\n", "aliases"),
    (
        MINIMAL + "notes: !!python/object/apply:os.getcwd []\n",
        "the tag !!python/object/apply:os.getcwd is not",
    ),
    (MINIMAL + "notes: !!timestamp soon\n", "line 4, column 8: the tag !!timestamp is not"),
    (MINIMAL + "notes: !mine x\n", "the tag !mine is not allowed"),
    (MINIMAL + "training: {epochs: !!int ten}\n", "'ten' does not fit its tag !!int"),
    (MINIMAL + "training: {epochs: !!int ''}\n", "'' does not fit its tag !!int"),
    (MINIMAL + "training: {at_once: !!bool maybe}\n", "'maybe' does not fit its tag !!bool"),
    (MINIMAL + "training: !!map [1]\n", "a sequence does not fit its tag !!map"),
    (MINIMAL + "---\nname: b\n", "expected a single document"),
    (MINIMAL + "\tnotes: x\n", "line 4"),
    (MINIMAL.encode("utf-16"), "not UTF-8"),
    (b"name: caf\xe9\n", "not UTF-8 text (byte 9)"),
    (b"name: a\x00b\n", "not readable as YAML"),
    (MINIMAL + "traning: {}\n", "traning: unknown key; did you mean training?"),
    ("name: mine\nsummary: A test\n", "network: required"),
    ("name: mine\nsummary: A test\nnetwork: {depth: 18}\n", "network.start: required"),
    (MINIMAL + "training:\n", "training: should be a section of key: value lines, got nothing"),
    (MINIMAL.replace("A test", '"A\\ntest"'), "summary: should be a single line"),
    (MINIMAL + f"notes: {'x' * 1_000_001}", "larger than"),
    (MINIMAL + f"notes: {'9' * 5000}", "99' does not fit its tag !!int"),
    (MINIMAL + f"notes: {'[' * 5000}", "not readable as YAML"),
    (
        MINIMAL + "variants: {a: {network.depth: 10, network: {depth: 18}}}",
        "network.depth is given",
    ),
    (MINIMAL + "variants: {a: {1: 10}}", "the key 1 is not text"),
]


@pytest.mark.parametrize(("text", "message"), BAD_FILES)
def test_a_bad_file_is_refused_by_name(text, message, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(UsageError) as caught:
        load_recipe(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_no_choice_among_names_is_a_pattern() -> None:
    """Of a pattern the message can only say which letters it has, of a choice its names."""
    shapes = [Section]
    for shape in shapes:
        shapes += [one for one in shape.__subclasses__() if one not in shapes]
    patterns = {
        f"{shape.__name__}.{name}": str(getattr(one, "pattern", "") or "")
        for shape in shapes
        for name, field in shape.model_fields.items()
        for one in field.metadata
    }
    assert any(patterns.values())
    assert [key for key, pattern in patterns.items() if "|" in pattern] == []


def test_a_missing_file_and_an_unknown_name_differ(tmp_path):
    with pytest.raises(NoInput, match=r"nowhere\.yaml: cannot be read: No such file"):
        load_recipe(tmp_path / "nowhere.yaml")
    with pytest.raises(NoInput, match="this is a folder"):
        load_recipe(str(tmp_path))
    for given in ("T1W", "t2w"):
        with pytest.raises(UsageError, match=r"did you mean t1w\? Known: attias2025, .*t1w"):
            load_recipe(given)
    with pytest.raises(UsageError, match=r"unknown recipe 'xyzzy'; known: attias2025, .*t1w"):
        load_recipe("xyzzy")
    with pytest.raises(UsageError, match=r"did you mean attias2025\? Known: attias2025, .*t1w"):
        load_recipe("attias2052")


# What libyaml and PyYAML's own parser read in different ways, tabs beside.
OTHERWISE = (
    *(b"a: [yes?]", b"a: [maybe?, no]", b"a: {pain?: 1}", b"a: |#x\n b\n", b"a: >-#x\n b\n"),
    *(b"a: !", "a: 1\n\ufeffb: 2\n".encode(), "\ufeffa: 1".encode()),
)


@pytest.mark.skipif(not yaml.__with_libyaml__, reason="PyYAML was built without libyaml")
def test_both_parsers_allow_the_same_and_read_the_same():
    """Of recipes damaged in any way, and of what the parsers by themselves take differently."""
    whole = packaged()["t1w"].read_bytes()
    texts = [damaged(whole, seed, STRUCTURE if seed % 3 else TEXT) for seed in range(150)]
    read = 0
    for raw in (*texts, b"a:\tb", b"a: {b:\t1}", b"- \t- 1", b"a: |\n\tb\n", *OTHERWISE):
        text = raw.decode("utf-8", "replace")
        ends = []
        for load in (yamltext.read_yaml, _by_pyyaml):
            try:
                ends.append(repr(load(text, "recipe")))
            except UsageError as error:
                ends.append(str(error))
        assert ends[0] == ends[1], text
        read += not ends[0].startswith("recipe")
    assert read > 30


def _by_pyyaml(text, source):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(yaml, "__with_libyaml__", False)
        return yamltext.read_yaml(text, source)


@pytest.mark.parametrize(
    "override",
    [
        "variants.x={training.lr.head: 1e-3}" + "riants.x={training.lr.head: 1e-3}" * 600,
        "a " * 9000,
        "training." + "b " * 9000 + "=3",
        "training.epochs=" + "c " * 9000,
        "training.epochs={" + "d " * 9000 + ": 1, e: 2}",
        "variants.x={" + "f " * 9000 + ": 1}",
    ],
    ids=["yaml", "nothing set", "key", "value", "section", "variant"],
)
def test_what_is_wrong_is_not_hidden_behind_what_was_written(override):
    with pytest.raises(UsageError) as caught:
        load_recipe("t1w", [override])
    assert 40 < len(str(caught.value)) < 4000
