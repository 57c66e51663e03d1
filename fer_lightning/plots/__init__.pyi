from .colors import (
    BLUE as BLUE,
    COLORS as COLORS,
    EXPRESSIONS as EXPRESSIONS,
    GREEN as GREEN,
    GRID as GRID,
    INK as INK,
    VERMILION as VERMILION,
)
from .counts import contingency as contingency, count_table as count_table
from .mapped_faces import (
    Legend as Legend,
    MappedFace as MappedFace,
    map_sheet as map_sheet,
)
from .sheets import (
    contact_sheet as contact_sheet,
    face_sheet as face_sheet,
    first_layer as first_layer,
    padded as padded,
)
from .style import (
    DPI as DPI,
    panel as panel,
    pixels as pixels,
    plain as plain,
)
from .text_table import as_text as as_text, cell as cell, plain_table as plain_table
