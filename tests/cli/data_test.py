"""`perturb data`: what it says, fetches and checks, against a server on this machine.

Nothing here needs a network, and nothing outside a temporary folder is read or written but
the system's own copy of Fashion-MNIST, which some of the tests are skipped without. Every
wait is bounded: the server serves from memory, and each command has a time limit.
"""

import gzip
import hashlib
import http.server
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading
import unittest

PROGRAM = os.environ["PERTURB"]
SYSTEM = pathlib.Path("/usr/share/datasets/fashion-mnist")
FILES = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
]
DONE, USAGE, LOCKED, DISK, FOUND = 0, 2, 4, 5, 6


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` (path -> bytes); counts what is asked for."""

    def __init__(self, content):
        self.content = content
        self.asked = []
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}/"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        found = self.server.content.get(self.path)
        if found is None:
            self.send_error(404)
        elif isinstance(found, str):
            self.send_response(302)
            self.send_header("Location", found)
            self.end_headers()
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(found)))
            self.end_headers()
            try:
                self.wfile.write(found)
            except OSError:
                pass  # the client has heard enough

    def log_message(self, *_):
        pass


def gz_files(folder=SYSTEM, prefix="/"):
    return {f"{prefix}{name}.gz": (folder / f"{name}.gz").read_bytes() for name in FILES}


def idx(dims, values):
    return bytes([0, 0, 8, len(dims)]) + b"".join(d.to_bytes(4, "big") for d in dims) + values


class DataTest(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="perturb-data-"))
        self.addCleanup(shutil.rmtree, self.root, True)

    def serve(self, content):
        server = Server(content)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server

    def run_program(self, *arguments, expect=DONE, launcher=()):
        environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "PERTURB_DATA", "PERTURB_STORE"):
            environment.pop(name, None)
        environment["HOME"] = str(self.root / "home")
        done = subprocess.run(
            [*launcher, PROGRAM, "data", *map(str, arguments)],
            cwd=self.root, env=environment, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        if expect != DONE:
            # Every message ends in what to do next.
            self.assertGreaterEqual(len(done.stdout.splitlines() + done.stderr.splitlines()), 2)
        return done

    def files_below(self, folder):
        return sorted(str(p.relative_to(folder)) for p in folder.rglob("*")
                      if p.is_file() and p.name != ".lock") if folder.exists() else []

    def write_digits(self, folder):
        folder.mkdir(parents=True)
        for name, dims in zip(FILES, [(5, 28, 28), (5,), (3, 28, 28), (3,)]):
            count = dims[0] * (784 if len(dims) > 1 else 1)
            (folder / name).write_bytes(idx(dims, b"\3" * count))


class Listing(DataTest):
    def test_it_says_what_is_missing_and_how_to_get_it(self):
        text = self.run_program().stdout
        self.assertIn("perturb data fetch mnist", text)
        self.assertIn(str(self.root / "data"), text)
        for name in ("fashion-mnist", "mnist", "cifar10", "iris", "csv", "gaussian-blobs"):
            self.assertIn(name, text)

    def test_json(self):
        self.write_digits(self.root / "data/mnist")
        said = json.loads(self.run_program("--json").stdout)
        rows = {row["name"]: row for row in said["data"]}
        self.assertEqual(rows["mnist"]["state"], "found")
        self.assertEqual(rows["mnist"]["folder"], str(self.root / "data/mnist"))
        self.assertEqual(len(rows["mnist"]["files"]), 4)
        self.assertEqual(rows["cifar10"]["state"], "missing")
        self.assertEqual(rows["iris"]["state"], "built in")
        self.assertEqual(said["looked_in"][0], str(self.root / "data"))


class Fetching(DataTest):
    @unittest.skipUnless(SYSTEM.exists(), "Fashion-MNIST is not on this machine")
    def test_what_was_fetched_is_found_and_is_right(self):
        server = self.serve(gz_files())
        done = self.run_program("fetch", "fashion-mnist", "--to", "d", "--from", server.address)
        folder = self.root / "d/fashion-mnist"
        self.assertIn(str(folder.relative_to(self.root)), done.stdout)
        self.assertIn("train-images-idx3-ubyte.gz", done.stderr)
        self.assertEqual(self.files_below(folder), sorted(f"{name}.gz" for name in FILES))
        self.run_program("check", "fashion-mnist", "--data", "d")
        said = json.loads(self.run_program("--json", "--data", "d").stdout)
        self.assertEqual(said["data"][0]["folder"], str(folder))
        # Nothing is fetched twice, and nothing is written over.
        server.asked.clear()
        self.run_program("fetch", "fashion-mnist", "--to", "d", "--from", server.address)
        (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(b"damaged")
        done = self.run_program("fetch", "fashion-mnist", "--to", "d", "--from", server.address,
                                expect=USAGE)
        self.assertIn("move it away", done.stderr)
        self.assertEqual(server.asked, [])
        (folder / "t10k-labels-idx1-ubyte.gz").unlink()
        self.run_program("fetch", "fashion-mnist", "--to", "d", "--from", server.address)
        self.assertEqual(server.asked, ["/t10k-labels-idx1-ubyte.gz"])
        self.run_program("check", "fashion-mnist", "--data", "d")

    @unittest.skipUnless(SYSTEM.exists(), "Fashion-MNIST is not on this machine")
    def test_redirections_and_local_folders(self):
        content = gz_files(prefix="/real/")
        server = self.serve(content)
        content.update({f"/moved/{name}.gz": f"/real/{name}.gz" for name in FILES})
        self.run_program("fetch", "fashion-mnist", "--to", "a", "--from", server.address + "moved")
        self.run_program("fetch", "fashion-mnist", "--to", "b", "--from", f"file://{SYSTEM}")
        self.assertEqual(self.files_below(self.root / "a"), self.files_below(self.root / "b"))

    @unittest.skipUnless(SYSTEM.exists(), "Fashion-MNIST is not on this machine")
    def test_what_is_installed_need_not_be_fetched(self):
        said = json.loads(self.run_program("fetch", "fashion-mnist", "--json").stdout)
        self.assertEqual(said["folder"], str(SYSTEM))
        self.assertEqual(self.files_below(self.root / "home"), [])

    def refused(self, expect, *words, name="mnist", address):
        done = self.run_program("fetch", name, "--to", "d", "--from", address, expect=expect)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertEqual(self.files_below(self.root / "d"), [])
        return done.stderr

    def test_other_content_is_never_put_in_place(self):
        good = gzip.compress(idx((3,), b"\1\2\3"))
        page = b"<html>We have moved</html>"
        for content in (good, good[:-9], page, b"", gzip.compress(b"x" * 60_000_000)):
            server = self.serve({f"/{name}.gz": content for name in FILES})
            self.refused(FOUND, "not the official file", "by hand", address=server.address)

    def test_an_archive_with_another_checksum_is_not_even_unpacked(self):
        server = self.serve({"/cifar-10-binary.tar.gz": gzip.compress(b"no archive")})
        self.refused(FOUND, "not the official file", name="cifar10", address=server.address)

    def test_more_than_there_can_be_is_cut_off(self):
        server = self.serve({"/cifar-10-binary.tar.gz": bytes(170_052_171 + 1)})
        self.refused(DISK, "larger than", name="cifar10", address=server.address)

    def test_404_and_no_server(self):
        server = self.serve({})
        self.refused(DISK, "404", "train-images-idx3-ubyte.gz", "--from", address=server.address)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
            address = f"http://127.0.0.1:{free.getsockname()[1]}/"
            self.refused(DISK, "connect", address=address)
        self.refused(DISK, "resolve", address="http://no-such-host.invalid/")
        self.refused(DISK, "file:///no/such/folder", address="file:///no/such/folder")

    def test_a_redirection_to_a_local_file_is_not_followed(self):
        secret = self.root / "secret"
        secret.write_bytes(b"secret")
        server = self.serve({f"/{FILES[0]}.gz": f"file://{secret}"})
        self.refused(DISK, address=server.address)

    def test_addresses_and_names_are_checked_first(self):
        for address in ("ftp://example.org/", "/etc", "gopher://x/", "example.org", "file://host/x"):
            self.refused(USAGE, "is no address", address=address)
        self.assertIn("fashion-mnist", self.run_program("fetch", "fashon-mnist", expect=USAGE).stderr)
        self.assertIn("describe iris", self.run_program("fetch", "iris", expect=USAGE).stderr)
        self.run_program("fetch", expect=USAGE)

    def test_a_folder_that_cannot_be_made(self):
        (self.root / "d").write_text("a file")
        done = self.run_program("fetch", "mnist", "--to", "d", "--from", "http://127.0.0.1:1/",
                                expect=DISK)
        self.assertIn("--to", done.stderr)

    @unittest.skipUnless(SYSTEM.exists(), "Fashion-MNIST is not on this machine")
    def test_a_full_disk(self):
        # A limit on the size of files stands in for the disk: writing fails just as late. The
        # images (26 MB) do not fit, the labels would.
        server = self.serve(gz_files())
        limited = ["bash", "-c", 'ulimit -f 4096; trap "" XFSZ; exec "$@"', "bash"]
        done = self.run_program("fetch", "fashion-mnist", "--to", "d", "--from", server.address,
                                expect=DISK, launcher=limited)
        self.assertIn("cannot write", done.stderr)
        self.assertEqual(self.files_below(self.root / "d"), [])

    def test_two_at_once(self):
        import fcntl
        folder = self.root / "d/mnist"
        folder.mkdir(parents=True)
        with open(folder / ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.run_program("fetch", "mnist", "--to", "d", "--from", "http://127.0.0.1:1/",
                             expect=LOCKED)


class Checking(DataTest):
    def test_verdicts(self):
        self.write_digits(self.root / "data/mnist")
        damaged = self.root / "data/mnist" / FILES[3]
        damaged.write_bytes(damaged.read_bytes()[:-1])
        done = self.run_program("check", "mnist", "--json", expect=FOUND)
        states = [row["state"] for row in json.loads(done.stdout)]
        self.assertEqual(states, ["other content"] * 3 + ["damaged"])
        self.assertIn("damaged", self.run_program("check", "mnist", expect=FOUND).stdout)

    def test_missing(self):
        done = self.run_program("check", "cifar10", expect=USAGE)
        self.assertIn("perturb data fetch cifar10", done.stderr)

    @unittest.skipUnless(SYSTEM.exists(), "Fashion-MNIST is not on this machine")
    def test_the_system_s_copy_is_the_official_one(self):
        rows = json.loads(self.run_program("check", "--json").stdout)
        self.assertEqual([row["state"] for row in rows], ["ok"] * 4)
        self.assertEqual(self.run_program("check").stdout.count("ok"), 4)


if __name__ == "__main__":
    unittest.main()
