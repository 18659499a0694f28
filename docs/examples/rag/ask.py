"""Ask a question, see the answer and its sources. For example: python ask.py 'Where do cats sleep?'."""

import argparse
import sys

from cdc import Client, Event


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("question")
    options.add_argument("--url", default="http://127.0.0.1:8288", help="where the service is")
    chosen = options.parse_args()
    client = Client(chosen.url)
    (event,) = client.send_sync(Event("chat.message", {"message": chosen.question}))
    (run,) = client.ended_sync(event)
    if run["status"] != "completed":
        sys.exit(f"the run {run['status']}: cdc runs {run['id']} says why")
    print(run["output"]["answer"])
    for number, source in enumerate(run["output"]["sources"], 1):
        print(f"[{number}] {source['title']} ({source['similarity']:.2f})")


if __name__ == "__main__":
    main()
