"""The desk: a page on this machine at which the owner labels works with two keys.

`server` is the page and `view_models` what it shows. `desk` decides what a key does, `order` which work is shown next.
`store` and `stack` keep the labels, `journal` what the desk itself must remember. `active_learning` says what the
labels teach so far, `learning_thread` keeps that up to date.
"""
