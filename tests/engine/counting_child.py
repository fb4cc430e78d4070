"""A child that counts between breaths: what a training does, without the training."""

import time

from portraitist.engine.children.channel import Canceled, Channel

if __name__ == "__main__":
    channel = Channel()
    print("a library that prints")
    while True:
        channel.job()
        try:
            for number in range(10_000):
                channel.breathe()
                channel.send("counted", number=number)
                time.sleep(0.01)
        except Canceled:
            channel.send("canceled")
