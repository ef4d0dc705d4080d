"""What real data makes of a network: zero operands, toggled bits, and the energy that follows."""

from accelsim.activity.energy import ActivityEnergy, activity_energy
from accelsim.activity.measure import measure_activity
from accelsim.activity.record import Activity
