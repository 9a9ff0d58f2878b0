"""What TRIPOD+AI asks of a study of a prediction model, item by item, in our own words."""

from typing import NamedTuple

SOURCE = "Collins et al. 2024, BMJ 385:e078378, doi:10.1136/bmj-2023-078378"
COUNT = 52
"""Items and sub-items of the published list, 1 to 27c."""


class Item(NamedTuple):
    """One item or sub-item.

    Attributes
    ----------
    number
        As published.
    section
        Part of the paper.
    asks
        What it wants to know, in our own words.
    author
        What only the authors can say of it; empty where the run says all.
    """

    number: str
    section: str
    asks: str
    author: str = ""


ITEMS = (
    Item(
        "1",
        "Title",
        "Does the title name the model's making or testing, the people and the outcome?",
        "the title",
    ),
    Item(
        "2", "Abstract", "Does the abstract follow the list for abstracts?", "the abstract itself"
    ),
    Item(
        "3a",
        "Introduction",
        "Which clinical question, and which models are there already?",
        "the clinical context and earlier models",
    ),
    Item(
        "3b",
        "Introduction",
        "For whom is the model meant, at which point of care, used by whom?",
        "who is to use it, and when",
    ),
    Item(
        "3c",
        "Introduction",
        "Which groups are known to fare worse in this condition?",
        "known inequalities between groups",
    ),
    Item("4", "Introduction", "Is a model made, tested, or both?"),
    Item(
        "5a",
        "Methods: data",
        "Where do the data come from, separately for making and testing, and whom do they stand "
        "for?",
        "why these data, and whom they represent",
    ),
    Item(
        "5b",
        "Methods: data",
        "When were people recruited, and followed up until when?",
        "dates of recruitment and follow-up",
    ),
    Item(
        "6a",
        "Methods: participants",
        "In which setting and in how many centres?",
        "the setting, and where the centres are",
    ),
    Item(
        "6b",
        "Methods: participants",
        "Who could take part?",
        "criteria of recruitment",
    ),
    Item(
        "6c",
        "Methods: participants",
        "Which treatments did people get, and how was that dealt with?",
        "treatments",
    ),
    Item(
        "7",
        "Methods: data preparation",
        "How were the data prepared and checked, and alike in all groups?",
    ),
    Item(
        "8a",
        "Methods: outcome",
        "What is forecast, how and when was it found out?",
        "how and when the outcome was assessed",
    ),
    Item(
        "8b",
        "Methods: outcome",
        "Who judged the outcome, where judging takes opinion?",
        "assessors, their training and demographics",
    ),
    Item(
        "8c",
        "Methods: outcome",
        "Did those who judged the outcome know the predictors?",
        "blinding of outcome assessment",
    ),
    Item(
        "9a",
        "Methods: predictors",
        "Why these predictors to begin with, and was any chosen beforehand?",
        "why they were chosen",
    ),
    Item(
        "9b",
        "Methods: predictors",
        "What is each predictor, how and when was it measured?",
        "how and when clinical predictors were measured",
    ),
    Item(
        "9c",
        "Methods: predictors",
        "Who judged predictors, where judging takes opinion?",
        "assessors of clinical predictors; images are measured by software alone",
    ),
    Item(
        "10",
        "Methods: sample size",
        "Why so many people, for making and for testing?",
        "whether the number was planned",
    ),
    Item("11", "Methods: missing data", "What was done about missing values, and why leave out?"),
    Item("12a", "Methods: analysis", "How were the data divided for making and testing?"),
    Item("12b", "Methods: analysis", "How were predictors handled: form, scale, change?"),
    Item(
        "12c",
        "Methods: analysis",
        "Which model and why, every step of its making, settings chosen how, tested inside how?",
        "why this kind of model",
    ),
    Item(
        "12d",
        "Methods: analysis",
        "How were differences between clusters (sites, hospitals, countries) handled?",
    ),
    Item(
        "12e",
        "Methods: analysis",
        "By which measures and figures is the model judged, and why these?",
        "why these measures",
    ),
    Item("12f", "Methods: analysis", "Was the model updated (recalibrated) when it was tested?"),
    Item("12g", "Methods: analysis", "How is a forecast worked out: formula, code, object?"),
    Item(
        "13",
        "Methods: class imbalance",
        "If classes were balanced by some method: why, how, and recalibrated how?",
    ),
    Item("14", "Methods: fairness", "What was done for the model to be fair, and why?"),
    Item("15", "Methods: model output", "What comes out: probability, class, by which threshold?"),
    Item(
        "16",
        "Methods: training and evaluation",
        "How do those trained on and those tested differ: setting, criteria, outcome, predictors?",
    ),
    Item(
        "17",
        "Methods: ethics",
        "Which board approved the study, and was consent given or waived?",
        "approval and consent",
    ),
    Item("18a", "Open science", "Who paid, and what had they to do with the study?", "funding"),
    Item("18b", "Open science", "Which interests do the authors declare?", "interests"),
    Item("18c", "Open science", "Where is the protocol, or is there none?", "the protocol"),
    Item("18d", "Open science", "Where was the study registered, or was it not?", "registration"),
    Item("18e", "Open science", "Can the data be had?", "whether data are shared"),
    Item(
        "18f",
        "Open science",
        "Can the code be had?",
        "where code of your own lies",
    ),
    Item(
        "19",
        "Patient and public involvement",
        "Had patients or the public a part in the study?",
        "involvement, or that there was none",
    ),
    Item(
        "20a",
        "Results: participants",
        "How did people come through the study, how many with and without the outcome, followed "
        "how long?",
        "length of follow-up",
    ),
    Item(
        "20b",
        "Results: participants",
        "What are they like, overall and by setting: predictors, treatments, missing values?",
        "treatments, and what people of each setting are like",
    ),
    Item(
        "20c",
        "Results: participants",
        "When tested: how do their predictors compare with those of training?",
    ),
    Item(
        "21",
        "Results: model development",
        "How many people and events in each analysis (training, tuning, testing)?",
    ),
    Item(
        "22",
        "Results: model specification",
        "Can others use the whole model on new people, and under which terms?",
        "the terms under which the model may be used",
    ),
    Item(
        "23a",
        "Results: performance",
        "How good is the model, with intervals, in key groups too, with curves?",
    ),
    Item("23b", "Results: performance", "How does performance differ between clusters?"),
    Item("24", "Results: model updating", "What did updating change?"),
    Item(
        "25",
        "Discussion",
        "What do the results mean, fairness and earlier studies included?",
        "the interpretation",
    ),
    Item(
        "26",
        "Discussion",
        "Which limits (unlike people, few people, overfitting, missing data), and which bias?",
        "limits that no file knows",
    ),
    Item(
        "27a",
        "Discussion: use",
        "What is done with poor or missing input when the model is used?",
        "what is done about missing values of clinical predictors",
    ),
    Item(
        "27b",
        "Discussion: use",
        "What must users do and know to handle the input and the model?",
        "the expertise that users need",
    ),
    Item("27c", "Discussion: use", "What are the next steps of research?", "next steps"),
)
