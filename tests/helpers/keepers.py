"""What actors of tests keep. It imports little, because each actor does when it is started."""

import os
import signal
import time


class Words:
    """Keeps words; one that is asked for "nothing" kills its process."""

    def __init__(self, words: list[str]) -> None:
        self.words = words

    def answer(self, part: int, question: str) -> str:
        if question == "nothing":
            os.kill(os.getpid(), signal.SIGKILL)
        if question == "late":
            time.sleep(30)
        if question == "error":
            raise ValueError(f"no {question} of {self.words[part]}")
        return self.words[part] + question


def keep_busy() -> None:
    """Takes a core until it is cancelled."""
    time.sleep(600)
