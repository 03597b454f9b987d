# SPDX-License-Identifier: Apache-2.0
"""`python -m camera_simulator.condition_messages`: what a technician reads, beside what was wrong.

Each case is played before a real worker (in this process, without a cluster) and its conditions are
printed, so that a person can judge each message: is it true, and is the next action the right one?
Alone in this package it imports the product, and only when it is run.
"""
