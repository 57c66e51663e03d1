from .predicting import recognise as recognise
from .recogniser import Face as Face, Recogniser as Recogniser
from .weights import SHIPPED as SHIPPED, Loaded as Loaded, load as load, save as save
