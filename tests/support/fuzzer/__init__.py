# SPDX-License-Identifier: Apache-2.0
"""Hostile input for every parser that reads what a camera sends.

`python -m fuzzer --inputs 1000000` (`make fuzz`) runs the long campaign; `tests/unit/fuzzer` runs a
few thousand inputs and every finding of the past. An input is a mutated recording of a real
conversation and is named by its target and a number, so that it can be made again.

    targets      what is fed, and what a parser may answer with
    mutation     recordings into inputs
    recordings   what a camera said: made by `python -m fuzzer.record`
    structure    mutations that keep the outer form
    conversations  a whole client against a camera whose answers are mutated
    campaign     many inputs in several processes, findings gathered
    regressions  inputs that once were findings: <target>--<what it was>.bin
"""
