"""A program that waits to be ended."""

import time

time.sleep(60)
