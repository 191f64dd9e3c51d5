"""The conformance suite judges any channel, rule by rule. See `python -m aioservicekit_conformance --help`.

`cli`, `as_tests` and `pytest_plugin` are its entry points. `target` loads a target, `judging` judges it, and `verdicts` holds the
result. `running` carries out one case on a target, `exploring` makes cases and finds the rules to blame, and `checks` tests what no
case can show. `report` writes reports for people and machines. `model_channel` is the model as a target.
"""
