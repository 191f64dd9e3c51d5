"""The conformance suite: judges any channel, rule by rule. See `python -m aioservicekit_conformance --help`.

`cli`, `as_tests` and `pytest_plugin` are its entrances. `target` loads what is judged, `judging` judges it, and `verdicts` holds
what comes of that. `running` carries out one case on a target, `exploring` makes cases and finds the rules to blame, `checks` has
what no case can show, and `report` tells people and machines. `model_channel` is the model as a target.
"""
