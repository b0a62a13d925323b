import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # recorded_nets and exact_bounds, which tests share
