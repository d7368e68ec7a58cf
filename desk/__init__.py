"""The desk: a page on this machine at which the owner labels works with two keys.

`server` is the page and `view_models` what it shows, `desk` decides what a key does, `store` and `stack` keep the labels,
`journal` what the desk itself must remember, `order` says which works are shown and in which order, `active_learning` and
`learning_thread` what the labels teach so far.
"""
