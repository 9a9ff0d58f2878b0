"""Take the working buffer of linear algebra while there is memory: OpenBLAS asks for it for ever.

The first factorisation of a process takes 32 MB. Where the address space is limited (``ulimit -v``,
as some batch systems set it) and spent, OpenBLAS goes on asking in place of failing, and a worker
would hang where it should say that memory is short. Imported by the process that workers are forked
from, before all that is large.
"""

import numpy as np

np.linalg.det(np.eye(2))
