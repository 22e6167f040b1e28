"""A program that waits until it is killed."""

import time

time.sleep(60)
