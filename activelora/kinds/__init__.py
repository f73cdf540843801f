"""The kinds of tasks, a folder each.

A folder holds all that is special about a kind: ``kind.py`` what goes with it (:class:`~activelora.tasks.task.Kind`,
light), ``task.py`` its prompt, labels and answers, ``judge.py`` how it is measured. To add a kind, add a folder and its
line in :mod:`activelora.kinds.registry`; in a package of your own, an entry point of the group ``activelora.kinds``.
"""
