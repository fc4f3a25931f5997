"""What the leak checks found, and what they looked for in vain."""

from typing import Any

from aisle.eval.leaks import Finding, Leaks


def leak_parts(leaks: Leaks) -> dict[str, Any]:
    """Findings of one kind together, leaks first; checks that found nothing; those that could not be made."""
    kinds: dict[tuple[str, str], list[Finding]] = {}
    for one in leaks.findings:
        kinds.setdefault((one.severity, one.check), []).append(one)
    found = [(severity, check, findings) for (severity, check), findings in kinds.items()]
    clean = [check for check in leaks.checked if check not in {check for _, check, _ in found}]
    return {"found": found, "clean": clean, "left_out": leaks.left_out}


def without_leaks(warnings: list[str], leaks: Leaks | None) -> list[str]:
    """Warnings that the leak checks do not say."""
    said = {one.what for one in leaks.findings} if leaks else set()
    return [warning for warning in warnings if warning.partition("): ")[2] not in said]
