"""Commands that produce the figures stated in the README and the documentation.

`speed` compares running times, mostly with PyTorch's; `quality` trains and scores; `robustness` feeds damaged files and
faulty code. `torch_reference` has the PyTorch counterparts of the networks. All of them print a table and write JSON.
"""
