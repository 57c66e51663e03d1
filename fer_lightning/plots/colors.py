"""Colours that everyone can tell apart."""

# Okabe and Ito's colours, which the colour-blind can tell apart.
BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
COLORS = (VERMILION, BLUE, GREEN, PURPLE)
# Of the expressions, after P. Tol's schemes, which the colour-blind can tell apart.
EXPRESSIONS = {
    "anger": "#EE6677",
    "disgust": "#CCBB44",
    "fear": "#AA88DD",
    "happy": "#66CC88",
    "sad": "#77AADD",
    "surprise": "#EE8866",
    "neutral": "#AAAAAA",
}
INK, GRID = "#333333", "#DDDDDD"
