"""What the benchmarks stand on: a PostgreSQL of their own, and commands whose time and memory the kernel counts."""

import contextlib
import os
import pathlib
import pwd
import signal
import socket
import subprocess
import sys
import time

MIB = 1 << 20
ROOT = pathlib.Path(__file__).resolve().parents[2]
START_LIMIT_SECONDS = 60


class Server:
    """A PostgreSQL that does not sync, run by an ordinary user."""

    def __init__(self, stack, folder, binaries, clients, **more_settings):
        if not (binaries / "postgres").exists() or not (clients / "pg_dump").exists():
            sys.exit("PostgreSQL is missing: run tests/tools/install")
        self.clients, self.port = clients, free_ports(1)[0]
        home, user = folder / "postgres", other_user()
        home.mkdir()
        if user:
            os.chown(home, user.pw_uid, user.pw_gid)
        as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
        initdb = [binaries / "initdb", "-D", home / "data", "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"]
        subprocess.run([*initdb, "--locale=C"], check=True, stdout=subprocess.DEVNULL, cwd=home, **as_user)
        settings = {
            "listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": home, "fsync": "off",
            "synchronous_commit": "off", "full_page_writes": "off", "wal_level": "minimal", "max_wal_senders": 0,
            "shared_buffers": "256MB", "max_wal_size": "4GB", "autovacuum": "off", **more_settings,
        }
        flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        log = open(folder / "postgres.log", "wb")
        command = [binaries / "postgres", "-D", home / "data", *flags]
        start(stack, command, signal.SIGQUIT, cwd=home, stdout=log, stderr=log, **as_user)
        ready = [clients / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        wait_for("PostgreSQL", lambda: subprocess.run(ready).returncode == 0)

    def url(self, database):
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def sql(self, database, text):
        psql = [self.clients / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", self.url(database), "-c", text]
        return subprocess.run(psql, check=True, capture_output=True, text=True).stdout.strip()


class Measured:
    def __init__(self, seconds, usage):
        self.seconds = seconds
        self.memory = usage.ru_maxrss * 1024  # Linux counts in KiB
        self.disk = usage.ru_oublock * 512  # blocks of 512 bytes, as POSIX has them


def timed(command, **more):
    say(" ".join([pathlib.Path(command[0]).name, *map(str, command[1:3])]))
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, **more)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command[0]} failed with {process.returncode}")
    return Measured(time.monotonic() - started, usage)


def start(stack, command, stop_signal, **more):
    process = subprocess.Popen(command, start_new_session=True, stdin=subprocess.DEVNULL, **more)

    def stop():
        process.send_signal(stop_signal)
        process.wait()

    stack.callback(stop)


def wait_for(what, ready):
    limit = time.monotonic() + START_LIMIT_SECONDS
    while not ready():
        if time.monotonic() > limit:
            sys.exit(f"{what} does not start")
        time.sleep(0.1)


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def other_user():
    """PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    sys.exit("root needs a user postgres or nobody to run PostgreSQL")


def mib(count):
    return f"{count / MIB:,.1f} MiB"


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)
