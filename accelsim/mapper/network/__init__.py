"""A network lowered for the streamed schedule, what its actions cost, and so what any mapping of it takes, exactly."""

from accelsim.mapper.network.costs import Programs, Streamed, exact_costs
from accelsim.mapper.network.lowered import Lowered, counts_of
from accelsim.mapper.network.prices import Groups, Prices, energies
from accelsim.mapper.network.settled import settled
