"""Import a file of contacts for one tenant. For example: python import_contacts.py contacts.csv --tenant acme."""

import argparse
import csv
from pathlib import Path

from cdc import Client, Event


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("file", type=Path, help="CSV with firstName, lastName, position, company")
    options.add_argument("--tenant", required=True, help="the name of its database in CDC_SOURCES")
    options.add_argument("--url", default="http://127.0.0.1:8288", help="where the service is")
    chosen = options.parse_args()
    with chosen.file.open(newline="", encoding="utf-8") as lines:
        rows = [Event("contacts/enrich", {"tenant": chosen.tenant, "contact": row}) for row in csv.DictReader(lines)]
    Client(chosen.url).send_sync(rows)
    print(f"{len(rows)} contacts are on their way to {chosen.tenant}")


if __name__ == "__main__":
    main()
