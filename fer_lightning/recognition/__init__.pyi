from .marking import annotated as annotated
from .predicting import recognise as recognise
from .recogniser import Face as Face, Recogniser as Recogniser, faces_of as faces_of
from .weights import SHIPPED as SHIPPED, Loaded as Loaded, load as load, save as save
