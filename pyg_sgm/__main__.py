"""``python -m pyg_sgm``"""

from pyg_sgm.cli import main

main()
