"""Talk to the resident stage of this device; prints one JSON line.

::

    python -I -S control.py --socket PATH ping|status|world|stop
    python -I -S control.py --socket PATH [--save-output FILE] run BASE64_OF_CELL_JSON
    python -I -S control.py --socket PATH profile BASE64_OF_REQUEST_JSON

``run`` prints a Measurement (see stage_runtime/formats/row.py), whatever happens, and ``profile`` a ProfileAnswer
(stage_runtime/formats/profile.py); ``world`` prints the status once the RPC world is up or has failed, ``stop``
returns when the stage has ended.
The exit status is 0 when the stage answered, 1 when it did not, 2 for wrong usage.

While it measures the stage sends an empty line each second.  One that sends nothing for a cell's ``silence_s`` stands
still, and is given up: the Measurement then names its device, and says that it is lost.

It is started once per cell over SSH, so it uses the standard library alone and starts in milliseconds.
"""

import argparse
import base64
import binascii
import json
import socket
import sys
import time

# The operations that take long, and what each is given.
_MEASURING = {"run": "cell", "profile": "request"}
# Beyond the cell's own time limit, which the stage keeps: it reports who was too slow.
_GRACE_S = 30.0
_SHORT_S = 10.0
# The stage keeps the limit that it was given for this.
_WORLD_S = 900.0


def main() -> int:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(prog="control.py", description="Talk to this device's resident stage.")
    parser.add_argument("--socket", required=True, help="the stage's control socket")
    parser.add_argument("--save-output", help="run: also write the model's output there (safetensors)")
    parser.add_argument("operation", choices=("ping", "status", "world", "stop", *_MEASURING))
    parser.add_argument("asked", nargs="?", help="run, profile: the cell's or request's JSON in base64")
    options = parser.parse_args()
    measuring = options.operation in _MEASURING
    if measuring != (options.asked is not None):
        parser.error("run takes a cell, profile a request, the other operations take none")
    request: dict[str, object] = {"op": options.operation}
    timeout_s = silence_s = _WORLD_S if options.operation == "world" else _SHORT_S
    device = None
    if measuring:
        what = _MEASURING[options.operation]
        try:
            asked = json.loads(base64.b64decode(options.asked, validate=True))
            timeout_s = silence_s = float(asked["timeout_s"]) + _GRACE_S
            if options.operation == "run":
                silence_s = float(asked.get("silence_s", silence_s))
                device = next((stage["device"] for stage in asked.get("stages", ())), None)
        except (binascii.Error, ValueError, KeyError, TypeError) as exc:
            parser.error(f"the {what} is no base64 of a {what}'s JSON: {exc!r}")
        request |= {what: asked, "save_output": options.save_output}
    try:
        answer = _ask(options.socket, request, timeout_s, silence_s)
    except OSError as exc:
        answer = _no_answer(options.socket, options.operation, device, exc)
        sys.stdout.write(answer + "\n")
        return 1
    sys.stdout.write(answer + "\n")
    return 0


def _ask(path: str, request: dict[str, object], timeout_s: float, silence_s: float) -> str:
    """Send one line, and give the line that comes back; raises OSError when none does, or nothing for ``silence_s``."""
    end = time.monotonic() + timeout_s
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stage:
        stage.settimeout(min(timeout_s, silence_s))
        stage.connect(path)
        stage.sendall(json.dumps(request).encode() + b"\n")
        with stage.makefile("rb") as lines:
            answer = b"\n"
            while answer == b"\n":
                stage.settimeout(max(0.001, min(silence_s, end - time.monotonic())))
                answer = lines.readline()
            if not answer.endswith(b"\n"):
                raise ConnectionError("the stage ended before it answered")
            if request["op"] == "stop":
                lines.read()  # the stage closes its end by ending
    return answer.decode().rstrip("\n")


def _no_answer(path: str, operation: str, device: str | None, exc: OSError) -> str:
    """Give the JSON for a stage that does not answer; for ``run`` and ``profile`` it is what they promise."""
    late = isinstance(exc, TimeoutError)
    if operation == "run":
        path = "its control socket"  # journals may be published, and where a device keeps things is nobody's business
    if isinstance(exc, FileNotFoundError | ConnectionRefusedError):
        reason = f"no stage runs on this device: {path}: {exc.strerror}; the stage_service role starts it"
    elif late:
        reason = f"the stage behind {path} gave no sign of life in time: it stands still, or has hung"
    else:
        reason = f"the stage behind {path}: {exc.strerror or exc}; see its log"
    if operation == "run":
        status, reason = "timeout" if late else "failed", f"{device}: {reason}" if device else reason
        return json.dumps({"status": status, "failed_device": device, "lost": True, "reason": reason})
    if operation in _MEASURING:
        return json.dumps({"status": "failed", "reason": reason})
    return json.dumps({"error": reason})


if __name__ == "__main__":
    sys.exit(main())
