"""Linear maps of a network, linearised once and applied many times: Hessians, Jacobians and what is made of them."""
