"""Run a study file in a process of its own, for tests that kill it: STUDY STORE ENGINE WORKERS."""

import sys


def main() -> None:
    from lemmata.engines.base import run
    from lemmata.plan import make
    from lemmata.records import Store, StoreError
    from lemmata.study.registry import load

    study, store = load(sys.argv[1]), Store(sys.argv[2])
    plan = make(study, recorded=store.members())
    try:
        outcome = run(
            plan, store, engine=sys.argv[3], workers=int(sys.argv[4]),
            on_event=lambda event: print(event.kind, flush=True),
        )  # fmt: skip
    except StoreError as error:
        print("StoreError", error, flush=True)
        sys.exit(3)
    sys.exit(1 if outcome.failed else 0)


if __name__ == "__main__":
    main()
