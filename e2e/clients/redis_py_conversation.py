"""One conversation with a running node: python redis_py_conversation.py PORT PROTOCOL. Silent when all is as it should be."""

import sys

import redis

port, protocol = int(sys.argv[1]), int(sys.argv[2])
USER_KEY = "7e124fe8-fe28-5398-bb95-53973100148f"
EVENT_ID = "550e8400-e29b-41d4-a716-446655440000"


def check(actual, expected):
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


yes, no = (True, False) if protocol == 3 else (1, 0)
client = redis.Redis(port=port, protocol=protocol, decode_responses=True, client_name="conversation")
assert client.ping()
check(client.client_getname(), "conversation")

append = (
    "EAPPEND", "user-123", "UserRegistered", "EVENT_ID", EVENT_ID, "EXPECTED_VERSION", "empty",
    "TIMESTAMP", 1700000000000, "PAYLOAD", '{"name":"Zoë"}\r\n$',
)
appended = fields(client.execute_command(*append))
check(appended, {
    "event_id": EVENT_ID, "partition_key": USER_KEY, "partition_id": 21, "partition_sequence": 0,
    "stream_version": 0, "timestamp": 1700000000000,
})
check(fields(client.execute_command(*append)), appended)
refused("WRONGVER current stream version is 0", "EAPPEND", "user-123", "E", "EXPECTED_VERSION", "empty")

transaction = fields(client.execute_command("EMAPPEND", EVENT_ID, "a", "A", "b", "B"))
check([fields(event)["stream_id"] for event in transaction["events"]], ["a", "b"])

event = fields(client.execute_command("EGET", EVENT_ID))
check(len(event), 11)
check(event["payload"], '{"name":"Zoë"}\r\n$')
check(event["metadata"], "")
check(client.execute_command("EGET", USER_KEY), None)
check(client.execute_command("ESVER", "user-123"), 0)
check(client.execute_command("ESVER", "nobody"), None)
check(client.execute_command("EPSEQ", 25), 1)

page = fields(client.execute_command("ESCAN", "user-123", "-", "+"))
check(page["has_more"], no)
check([fields(one)["event_id"] for one in page["events"]], [EVENT_ID])
page = fields(client.execute_command("EPSCAN", 25, 0, "+", "COUNT", 1))
check(page["has_more"], yes)
refused("partition unavailable", "EPSCAN", 99, "-", "+")
refused("INVALIDARG unknown command 'NOSUCH'", "NOSUCH")

pipeline = client.pipeline(transaction=False)
for _ in range(200):
    pipeline.execute_command("EAPPEND", "many", "E")
check([fields(reply)["stream_version"] for reply in pipeline.execute()], list(range(200)))
client.close()
