"""Ask about one tenant's contacts. For example: python ask.py 'Who knows compilers?' --tenant acme."""

import argparse
import sys

from cdc import Client, Event


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("question")
    options.add_argument("--tenant", required=True, help="the name of its database in CDC_SOURCES")
    options.add_argument("--url", default="http://127.0.0.1:8288", help="where the service is")
    chosen = options.parse_args()
    client = Client(chosen.url)
    (event,) = client.send_sync(Event("contacts/asked", {"tenant": chosen.tenant, "question": chosen.question}))
    (run,) = client.ended_sync(event)
    if run["status"] != "completed":
        sys.exit(f"the run {run['status']}: cdc runs {run['id']} says why")
    print(run["output"]["answer"])
    print("from", ", ".join(run["output"]["contacts"]) or "no contacts")


if __name__ == "__main__":
    main()
