"""Driver: driver.py PORT 2|3. See ../checks.ts."""

import json
import re
import sys

import redis

port, protocol = int(sys.argv[1]), int(sys.argv[2])
USER_KEY = "7e124fe8-fe28-5398-bb95-53973100148f"
EVENT_ID = "550e8400-e29b-41d4-a716-446655440000"
KEY = EVENT_ID
UUID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
PAYLOAD = '{"name":"Zoë"}\r\n$'
yes, no = (True, False) if protocol == 3 else (1, 0)


class Absent(Exception):
    """The library has no door for this, and what is there was found harmless."""


def equal(actual, expected):
    assert actual == expected, f"{actual!r} is not {expected!r}"


def fields(reply):
    """A map: a dict with protocol 3, a flat list with protocol 2."""
    if protocol == 3:
        assert isinstance(reply, dict), reply
        return reply
    assert isinstance(reply, list), reply
    return dict(zip(reply[::2], reply[1::2]))


def refused(start, *command):
    try:
        client.execute_command(*command)
    except redis.ResponseError as error:
        assert str(error).startswith(start), error
    else:
        raise AssertionError(f"{command} was not refused")


def connect():
    assert client.ping()
    equal(client.client_getname(), "driver")
    assert "redis_version" in client.info()
    # In one word, because redis-py takes any reply to INFO for text.
    equal(fields(client.execute_command("INFO CACHE"))["block_size_bytes"], 65536)


def append():
    command = (
        "EAPPEND", "user-123", "UserRegistered", "EVENT_ID", EVENT_ID, "PARTITION_KEY", USER_KEY,
        "EXPECTED_VERSION", "empty", "TIMESTAMP", 1700000000000, "PAYLOAD", PAYLOAD, "METADATA", "by hand",
    )
    appended = fields(client.execute_command(*command))
    equal(appended, {
        "event_id": EVENT_ID, "partition_key": USER_KEY, "partition_id": 21, "partition_sequence": 0,
        "stream_version": 0, "timestamp": 1700000000000,
    })
    equal(fields(client.execute_command(*command)), appended)


def transaction():
    stored = fields(client.execute_command("EMAPPEND", KEY, "a", "A", "EXPECTED_VERSION", "empty", "b", "B"))
    equal((stored["first_partition_sequence"], stored["last_partition_sequence"]), (0, 1))
    equal([fields(event)["stream_id"] for event in stored["events"]], ["a", "b"])


def check_event(reply):
    event = fields(reply)
    assert UUID.match(event["transaction_id"]), event
    equal(list(event.items()), [
        ("event_id", EVENT_ID), ("partition_key", USER_KEY), ("partition_id", 21),
        ("transaction_id", event["transaction_id"]), ("partition_sequence", 0), ("stream_version", 0),
        ("timestamp", 1700000000000), ("stream_id", "user-123"), ("event_name", "UserRegistered"),
        ("metadata", "by hand"), ("payload", PAYLOAD),
    ])


def read():
    check_event(client.execute_command("EGET", EVENT_ID))
    equal(client.execute_command("EGET", USER_KEY), None)
    equal(client.execute_command("ESVER", "user-123"), 0)
    equal(client.execute_command("ESVER", "nobody"), None)
    equal(client.execute_command("EPSEQ", 25), 1)
    equal(client.execute_command("EPSEQ", 0), None)
    page = fields(client.execute_command("ESCAN", "user-123", "-", "+"))
    assert page["has_more"] is no if protocol == 3 else page["has_more"] == no, page
    equal(len(page["events"]), 1)
    check_event(page["events"][0])
    page = fields(client.execute_command("EPSCAN", KEY, 0, "+", "COUNT", 1))
    assert page["has_more"] is yes if protocol == 3 else page["has_more"] == yes, page
    equal([fields(event)["stream_id"] for event in page["events"]], ["a"])


def errors():
    refused(
        "WRONGVER current stream version is 0 but expected empty",
        "EAPPEND", "user-123", "E", "EXPECTED_VERSION", "empty",
    )
    # redis-py knows this code, makes it a class of its own and takes it off the text.
    refused("partition unavailable", "EPSCAN", 99, "-", "+")
    refused("INVALIDARG unknown command 'NOSUCH'", "NOSUCH")
    assert client.ping()


def round_trip(stream, payload):
    plain = redis.Redis(port=port, protocol=protocol)
    plain.execute_command("EAPPEND", stream, "E", "PAYLOAD", payload, "METADATA", payload)
    event = fields(fields(plain.execute_command("ESCAN", stream, "-", "+"))[b"events"][0])
    assert event[b"payload"] == payload and event[b"metadata"] == payload, "other bytes"
    plain.close()


def binary():
    round_trip("binary", b"\r\n\0$5\r\n" + bytes(range(256)))


def large():
    round_trip("large", b"sierra\r\n" * (1024 * 128))


def pipeline():
    pipe = client.pipeline(transaction=False)
    for _ in range(200):
        pipe.execute_command("EAPPEND", "many", "E")
    equal([fields(reply)["stream_version"] for reply in pipe.execute()], list(range(200)))


class Subscriber:
    """Pushes and replies of one connection, in the order of the wire."""

    def __init__(self):
        self.connection = client.connection_pool.get_connection()
        self.pushes = []

    def call(self, *command):
        self.connection.send_command(*command)
        while True:
            reply = self.read()
            if not isinstance(reply, list):
                return reply
            self.pushes.append(reply)

    def read(self):
        return self.connection.read_response(push_request=True)

    def subscribe(self, *command):
        id = self.call(*command)
        assert UUID.match(id), id
        return id

    def next(self, kind, id):
        """What the next push of this subscription says."""
        push = self.pushes.pop(0) if self.pushes else self.read()
        equal(push[:2], [kind, id])
        return push[2:]

    def versions(self, id, count):
        """Cursor and version of the next events."""
        events = [self.next("message", id) for _ in range(count)]
        return [(cursor, event["stream_version"]) for cursor, event in events]

    def close(self):
        self.connection.disconnect()
        client.connection_pool.release(self.connection)


def subscribe():
    if protocol == 2:
        refused("INVALIDARG subscriptions require RESP3", "ESUB", "user-123", "FROM", 0)
        assert client.ping()
        raise Absent("refused, RESP2 has no pushes")
    for payload in ("one", "two", "three"):
        client.execute_command("EAPPEND", "live", "E", "PAYLOAD", payload)
    subscriber = Subscriber()
    id = subscriber.subscribe("ESUB", "live", "FROM", 0)
    equal(subscriber.next("subscribe", id), [1])
    equal(subscriber.versions(id, 3), [(0, 0), (1, 1), (2, 2)])
    for payload in ("four", "five\r\n"):
        client.execute_command("EAPPEND", "live", "E", "PAYLOAD", payload)
    equal(subscriber.versions(id, 1), [(3, 3)])
    cursor, event = subscriber.next("message", id)
    equal((cursor, event["stream_version"], event["stream_id"], event["payload"]), (4, 4, "live", "five\r\n"))
    equal(subscriber.call("EUNSUB", id), "OK")
    partition = subscriber.subscribe("EPSUB", KEY, "FROM", 0)
    equal(subscriber.next("subscribe", partition), [1])
    equal([subscriber.next("message", partition)[1]["stream_id"] for _ in range(2)], ["a", "b"])
    subscriber.close()


def window():
    if protocol == 2:
        raise Absent("refused, RESP2 has no pushes")
    subscriber = Subscriber()
    id = subscriber.subscribe("ESUB", "many", "FROM", 10, "WINDOW", 2)
    equal(subscriber.next("subscribe", id), [1])
    for cursor in range(0, 10, 2):
        equal(subscriber.versions(id, 2), [(cursor, 10 + cursor), (cursor + 1, 11 + cursor)])
        equal(subscriber.call("PING"), "PONG")
        equal(subscriber.pushes, [])
        equal(subscriber.call("EACK", id, cursor + 1), "OK")
    subscriber.close()


def run(check):
    try:
        check()
        return {"outcome": "passed"}
    except Absent as absent:
        return {"outcome": "absent", "reason": str(absent)}
    except Exception as error:
        return {"outcome": "failed", "message": f"{type(error).__name__}: {error}"}


client = redis.Redis(port=port, protocol=protocol, decode_responses=True, client_name="driver")
print(json.dumps({"version": redis.__version__, "protocol": protocol}))
for check in (connect, append, transaction, read, errors, binary, large, pipeline, subscribe, window):
    print(json.dumps({"check": check.__name__, **run(check)}), flush=True)
client.close()
