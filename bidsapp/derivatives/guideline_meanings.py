"""What the columns of the checklists mean that go with a paper."""

from bidsapp.derivatives.column_meanings import Column

_GUIDELINE = {
    "section": Column("Part of the paper that it belongs to."),
    "asks": Column("What it wants to know, in NociCast's words."),
    "status": Column(
        "Who answers it.",
        levels={
            "run": "the files of the run",
            "run and author": "the files of the run in part, and the authors",
            "author": "the authors alone",
        },
    ),
    "answer": Column("What the files of the run say; n/a where they say nothing."),
    "where": Column("Files of the run to look at, behind a colon the place in them."),
    "author": Column("What the authors have to say of it; n/a where nothing is left to them."),
}

GUIDELINES: dict[str, dict[str, Column]] = {
    "tripod_ai": {
        "item": Column("Number of the item or sub-item of TRIPOD+AI, 1 to 27c."),
        **_GUIDELINE,
    },
    "claim": {"item": Column("Number of the item of CLAIM (2024), 1 to 44."), **_GUIDELINE},
    "probast": {
        "question": Column("Number of the signalling question of PROBAST (2019), or AI."),
        "domain": Column("Participants, predictors, outcome or analysis."),
        "asks": Column("What it wants to know, in NociCast's words; a yes speaks against bias."),
        "judged": Column(
            "The answer.",
            levels={
                "probably yes": "as far as the files of the run tell",
                "probably no": "as far as the files of the run tell",
                "no information": "the files cannot tell",
                "author": "for the authors to answer",
            },
        ),
        "why": Column("What the files of the run say."),
        "where": Column("Files of the run to look at, behind a colon the place in them."),
    },
}
