from .cost import Cost as Cost, decided_by as decided_by, fused_cost as fused_cost
from .grouping import Part as Part, grouped as grouped, parts as parts
from .membership import members as members
from .native.epochs import has_loops as has_loops, loops_pay_on_one_core as loops_pay_on_one_core
from .single_run import train as train
from .together import train_together as train_together
