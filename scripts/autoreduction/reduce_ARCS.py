#!/usr/bin/env python
"""Autoreduction of ARCS: the instrument's own reduction, then force constants from all runs of the experiment.

    reduce_ARCS.py NEXUS_FILE OUTPUT_FOLDER

The reduction is a function named in fcinv.json beside this file. What follows is done by the command `fcinv` in a
process of its own, with limits of time and memory: nothing in it, not even a crash, reaches the reduction. Whatever
goes wrong there is a line on stdout and in status.json, never on stderr. README.md explains the configuration.
"""

import base64
import contextlib
import ctypes
import errno
import fcntl
import html
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

CONFIGURATION = "fcinv.json"
#: What an experiment may give. Programs and limits are the instrument's, as users can write to their own folder.
EXPERIMENT_KEYS = {"structure", "model", "growth", "fold", "invert"}
#: Options of `fcinv fold` and `fcinv invert` that are set here.
OWN_OPTIONS = {"structure", "out", "add", "replace", "pictures", "model"}
#: First word of a command line that starts fcinv, and the number of that request in Linux's prctl.
LAUNCH, SET_PARENT_DEATH_SIGNAL = "--launch", 1
#: Variables that point Mantid's Python to its packages and libraries.
LAUNCHER_VARIABLES = {"PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LD_PRELOAD"}
#: Seconds between two looks at a lock.
PATIENCE = 0.5


class Problem(Exception):
    """What kept force constants from being found, in one sentence."""


def main(nexus_file, output_folder):
    """Reduce a run, and bring the force constants of its experiment up to date."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")
    output_folder = Path(output_folder).resolve()
    instrument = json.loads((Path(__file__).resolve().parent / CONFIGURATION).read_text(encoding="utf-8"))
    events = named_function(instrument["reduction"])(str(nexus_file), str(output_folder))

    folder = output_folder / "fcinv"
    run_name = Path(nexus_file).name.partition(".")[0]
    problem = None
    try:
        configuration = read_configuration(instrument, output_folder)
        if events is None or configuration is None:
            say("nothing to do: " + ("the run is no measurement" if events is None else f"no {CONFIGURATION}"))
            return
        follow(Path(events).resolve(), folder, configuration)
    except Exception as error:
        problem = str(error) if isinstance(error, Problem) else f"{type(error).__name__}: {error}"
        say(f"no new force constants: {problem}")
    try:
        status = write_status(folder, run_name, problem)
        if "publish" in instrument:
            named_function(instrument["publish"])(run_name, monitor_page(folder, status))
    except Exception as error:
        say(f"the status was not published: {type(error).__name__}: {error}")


def named_function(name):
    """Return the function "module:function" of a module beside this file or an installed one."""
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


def read_configuration(instrument, output_folder):
    """Return the configuration of the instrument changed by that of the experiment; None if that is not there."""
    file = output_folder / CONFIGURATION
    if not file.is_file():
        return None
    try:
        experiment = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Problem(f"{file} cannot be read: {error}") from None
    if not isinstance(experiment, dict):
        raise Problem(f"{file} holds no JSON object")
    unknown = sorted(set(experiment) - EXPERIMENT_KEYS)
    if unknown:
        known = ", ".join(sorted(EXPERIMENT_KEYS))
        raise Problem(f"{file} holds {', '.join(unknown)}: an experiment may give {known}")
    merged = {**instrument, **experiment}
    for command in ("fold", "invert"):
        merged[command] = {**instrument.get(command, {}), **experiment.get(command, {})}
        taken = sorted(option for option in merged[command] if option.replace("-", "_") in OWN_OPTIONS)
        if taken:
            raise Problem(f"{file} gives {', '.join(taken)} for {command}: that is set by the autoreduction")
    if "structure" not in merged:
        raise Problem(f"{file} names no structure")
    return merged


def follow(events, folder, configuration):
    """Add the events of a run to those of the experiment, and invert them if they grew."""
    folder.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + 60 * configuration.get("minutes", 30)
    folded, pictures = folder / "folded.nxs", folder / "pictures"
    with lock(folder / "folded.lock", deadline):
        words = ["fold", events, "--structure", configuration["structure"], "--out", folded, "--pictures", pictures]
        if folded.is_file():
            # A run that is reduced again takes the place of its earlier self.
            words += ["--add", folded, "--replace"]
        run_fcinv([*words, *options(configuration["fold"])], folder.parent, configuration, deadline)
    if "model" not in configuration:
        return
    inverted = folder / "inverted.json"

    def is_wanted():
        return grew(read_json(pictures / "folded.json"), read_json(inverted), configuration.get("growth", 0.1))

    while is_wanted():
        # Whoever holds the lock looks again after giving it back, so what was added meanwhile is not forgotten.
        with lock(folder / "result.lock") as mine:
            if not mine:
                say("another run is inverting, and will take this one in")
                return
            if is_wanted():
                measured = read_json(pictures / "folded.json")
                words = ["invert", folded, "--model", configuration["model"], "--out", folder / "result"]
                run_fcinv([*words, *options(configuration["invert"])], folder.parent, configuration, deadline)
                write(inverted, json.dumps(measured, indent=1))


def options(given):
    """Return the words of a command line for {"option": value}: true for a switch, lists for several values."""
    words = []
    for name, value in given.items():
        values = value if isinstance(value, list) else [value]
        if value is not False:
            words += ["--" + name.replace("_", "-"), *(values if value is not True else [])]
    return words


def grew(measured, inverted, growth):
    """Say whether there is more to invert than the last time: counts or coverage by a share, or other runs."""
    if not measured or not measured["counts"]:
        return False
    if not inverted or not set(inverted["runs"]) <= set(measured["runs"]):
        return True
    if len(inverted["runs"]) == len(measured["runs"]):
        return inverted["counts"] != measured["counts"]
    return any(measured[name] > (1 + growth) * inverted[name] for name in ("counts", "covered_share"))


def run_fcinv(words, folder, configuration, deadline):
    """Run a command of fcinv in a folder, pass its words on to stdout, and raise Problem if it fails."""
    program = [configuration["fcinv"]] if "fcinv" in configuration else [sys.executable, "-m", "fcinv_core"]
    command = [*program, *(str(word) for word in words)]
    say(" ".join(command))
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise Problem(f"no time was left for fcinv {words[0]}")
    memory = configuration.get("memory_gb")
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = physical // 2 if memory is None else int(1e9 * memory)
    process = subprocess.Popen(
        [sys.executable, __file__, LAUNCH, str(limit), *command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    late = threading.Event()
    alarm = threading.Timer(seconds, lambda: (late.set(), process.kill()))
    alarm.start()
    last = ""
    try:
        with process:
            for line in process.stdout:
                say(line.rstrip())
                last = line.strip() or last
    finally:
        alarm.cancel()
    if late.is_set():
        raise Problem(f"fcinv {words[0]} took longer than the {configuration.get('minutes', 30)} minutes it has")
    if process.returncode != 0:
        raise Problem(last or f"fcinv {words[0]} ended with exit code {process.returncode}")


def launch(limit, program, *words):
    """Become a command that stays below a limit of memory (bytes) and ends when its parent does, even if killed."""
    resource.setrlimit(resource.RLIMIT_AS, (int(limit), int(limit)))
    ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    environment = dict(os.environ)
    if program != sys.executable:
        # What Mantid's launcher sets for its own Python would mislead another one.
        for name in LAUNCHER_VARIABLES:
            environment.pop(name, None)
    os.execvpe(program, [program, *words], environment)


@contextlib.contextmanager
def lock(path, deadline=None):
    """Hold a lock among all hosts that see its file and yield True; yield False if it is taken and nobody waits."""
    with open(path, "a", encoding="utf-8") as stream:
        while True:
            try:
                fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EAGAIN):
                    raise Problem(f"{path.parent} lies on a file system without locks: {error}") from None
            if deadline is None:
                yield False
                return
            if time.monotonic() > deadline:
                raise Problem(f"{path} was held by other runs all the time: reduce this run again")
            time.sleep(PATIENCE)
        # Closing the file gives the lock back, also when the process ends early.
        yield True


def write_status(folder, run_name, problem):
    """Write status.json, whole or not at all, and return its content."""
    measured, inverted = read_json(folder / "pictures" / "folded.json"), read_json(folder / "inverted.json")
    result = read_json(folder / "result" / "result.json")
    status = {
        "format": "fcinv autoreduction",
        "schema": 1,
        "run": run_name,
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "problem": problem,
        "measured": measured,
        "result": result
        and {
            "runs": inverted["runs"] if inverted else None,
            "verdict": result["verdict"],
            "force_constants": result["force_constants"],
        },
        "files": sorted(
            str(file.relative_to(folder))
            for pattern in ("*.nxs", "pictures/*", "result/*")
            for file in folder.glob(pattern)
        ),
    }
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "status.json", json.dumps(status, indent=1, ensure_ascii=False))
    return status


def monitor_page(folder, status):
    """Return the status as a piece of HTML with the picture of I(q, E), for a web monitor."""
    parts = []
    if status["problem"]:
        parts.append(f"<p><b>No new force constants:</b> {html.escape(status['problem'])}</p>")
    result = status["result"]
    if result:
        runs = "" if not result["runs"] else f" ({len(result['runs'])} runs)"
        parts.append(f"<p><b>{html.escape(result['verdict']['sentence'])}</b>{runs}</p><table>")
        for row in result["force_constants"][:8]:
            value = f"{row['value']:.4f} &plusmn; {row['sigma']:.4f} {html.escape(row['unit'])}"
            parts.append(f"<tr><td>{html.escape(row['label'])}</td><td>{value}</td></tr>")
        parts.append("</table>")
    picture = folder / "pictures" / "folded.png"
    if picture.is_file():
        encoded = base64.b64encode(picture.read_bytes()).decode("ascii")
        parts.append(f'<img alt="I(q, E)" src="data:image/png;base64,{encoded}">')
    return "<div>" + "\n".join(parts) + "</div>"


def read_json(path):
    """Return the content of a JSON file; None if there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def write(path, text):
    """Write a file so that a reader never meets half of it."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with open(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, 0o664)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def say(line):
    """Print a line that begins with our name, so that it is told from the reduction's."""
    print(f"fcinv: {line}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == [LAUNCH]:
        launch(*sys.argv[2:])
    if len(sys.argv) != 3:
        sys.exit("usage: reduce_ARCS.py NEXUS_FILE OUTPUT_FOLDER")
    main(*sys.argv[1:])
