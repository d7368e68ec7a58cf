"""The desk: a page on this machine where the owner labels works with two keys.

`server` is the page and `view_models` what it shows. `desk` decides what a key does, `order` which work comes next.
`store` and `stack` keep the labels, `journal` the desk's own state. `active_learning` measures what the labels teach,
`learning_thread` keeps that up to date.
"""
