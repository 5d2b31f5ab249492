#!/bin/bash
# How long a client waits between its request and the 101 when its VM runs, and whose time that is.
#   login_bench.sh [ROUNDS]
# Ends with 1 if the goal is missed. QVD_BIN, QVD_PLUGINS: an optimised build. QVD_TEST_IMAGE: an image (tests/run makes one).
# Each round is a TLS connection of its own: list_of_vm, which pays for the password, then
# connect_to_vm, timed from outside; the broker's log says what of it was the agent's and nxagent's.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../system/world.sh"
enter_world "$0" "$@"
trap node_remove EXIT

node_make && node_start
rig_until 60 node_is unconfigured || exit 1
qa config ssl cert="$NODE_DIR/cert.pem" key="$NODE_DIR/key.pem"
rig_until 30 node_is running || exit 1
qa osf add name=desk memory=256
qa di add osf=desk path="$QVD_TEST_IMAGE"
qa user add login=alice password=wonder-1
qa vm add name=one user=alice osf=desk
qa vm start --force
rig_until 60 vm_is 1 running || exit 1

python3 - "$NODE_PORT" "$NODE_DIR/cert.pem" "$NODE_LOG" "${1:-20}" <<'PYTHON'
import base64, re, socket, ssl, statistics, sys, time
port, cert, log, rounds = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
context = ssl.create_default_context(cafile=cert)
who = "Authorization: Basic " + base64.b64encode(b"alice:wonder-1").decode()

def one_round():
    """Milliseconds from the request to the 101, and those before it for the password."""
    plain = socket.create_connection(("localhost", port), 60)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with context.wrap_socket(plain, server_hostname="localhost") as server:
        answers = server.makefile("rb")
        begin = time.monotonic()
        server.sendall(f"GET /qvd/list_of_vm HTTP/1.1\r\n{who}\r\n\r\n".encode())
        length = 0
        while (line := answers.readline()) not in (b"\r\n", b""):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        answers.read(length)
        login = time.monotonic() - begin
        begin = time.monotonic()
        server.sendall((f"GET /qvd/connect_to_vm?id=1 HTTP/1.1\r\n{who}\r\nConnection: Upgrade\r\n"
                        "Upgrade: QVD/1.0\r\n\r\n").encode())
        while line := answers.readline():
            if line.startswith(b"HTTP/1.1 101"):
                return login * 1000, (time.monotonic() - begin) * 1000
            if re.match(rb"HTTP/1.1 [345]", line):
                sys.exit(line.decode() + answers.read(500).decode())
        sys.exit("the node closed the connection")

logins, totals = zip(*(one_round() for _ in range(rounds)))
steps = {}
for line in open(log):
    if "event=session.connected" in line:
        for name, value in re.findall(r"(\w+)_us=(\d+)", line):
            steps.setdefault(name, []).append(int(value) / 1000)
own = [total - agent for total, agent in zip(totals, steps["agent"])]
print(f"median of {rounds} rounds, milliseconds")
print(f"  password and list of VMs          {statistics.median(logins):7.1f}")
print(f"  request to 101                    {statistics.median(totals):7.1f}")
print(f"    of it the agent and nxagent     {statistics.median(steps['agent']):7.1f}")
print(f"    of it our own                   {statistics.median(own):7.1f}   (goal: under 20)")
for name, values in steps.items():
    print(f"      broker, {name:14}          {statistics.median(values):7.1f}")
sys.exit(statistics.median(own) >= 20)
PYTHON
