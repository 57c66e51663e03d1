from .confident_learning import contradicted as contradicted
from .job import audit as audit
from .twins import Pairs as Pairs, find_pairs as find_pairs, groups_of as groups_of
