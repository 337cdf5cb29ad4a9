import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * The checks of ../checks.ts for a library in Java. Blobs and simple strings of replies are read as ISO 8859-1, a character a
 * byte, so that binary ones can be compared.
 */
abstract class Driver {
  private static final String USER_KEY = "7e124fe8-fe28-5398-bb95-53973100148f";
  private static final String EVENT_ID = "550e8400-e29b-41d4-a716-446655440000";
  protected static final String KEY = EVENT_ID;
  private static final String UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}";
  private static final String PAYLOAD = latin("{\"name\":\"Zoë\"}\r\n$");

  private final int protocol;

  Driver(int protocol) {
    this.protocol = protocol;
  }

  /** The library has no door for this, and what is there was found harmless. */
  @SuppressWarnings("serial")
  static final class Absent extends RuntimeException {
    Absent(String reason) {
      super(reason);
    }
  }

  /** Events of one subscription. */
  interface Subscription {
    /** Cursor and event of the next push. */
    Map.Entry<Long, Map<String, Object>> next() throws Exception;

    /** A command on the subscription's own connection. */
    Object call(String name, String... arguments) throws Exception;

    String id();
  }

  /** Calls a command by its name; the reply as {@link #plain} returns it. */
  abstract Object call(String name, String... arguments) throws Exception;

  /** The library's class of errors that the server has sent. */
  abstract Class<? extends Exception> refusal();

  /** PING and INFO by the library's own methods. */
  abstract String ping();

  abstract String info();

  /** Replies of one command sent many times without waiting. */
  abstract List<Object> pipeline(int times, String name, String... arguments) throws Exception;

  abstract Subscription open(String name, String... arguments) throws Exception;

  static byte[] bytes(String latin) {
    return latin.getBytes(StandardCharsets.ISO_8859_1);
  }

  static byte[][] bytes(String[] latin) {
    return Arrays.stream(latin).map(Driver::bytes).toArray(byte[][]::new);
  }

  /** The UTF-8 bytes of a text, a character each. */
  private static String latin(String text) {
    return new String(text.getBytes(StandardCharsets.UTF_8), StandardCharsets.ISO_8859_1);
  }

  /** A reply of the library in lists, maps, strings, longs, booleans. */
  static Object plain(Object reply) {
    if (reply instanceof byte[] blob) return new String(blob, StandardCharsets.ISO_8859_1);
    if (reply instanceof List<?> list) {
      if (!list.isEmpty() && list.stream().allMatch(Map.Entry.class::isInstance)) {
        Map<Object, Object> map = new LinkedHashMap<>();
        for (Object entry : list) map.put(plain(((Map.Entry<?, ?>) entry).getKey()), plain(((Map.Entry<?, ?>) entry).getValue()));
        return map;
      }
      return list.stream().map(Driver::plain).collect(Collectors.toCollection(ArrayList::new));
    }
    if (reply instanceof Map<?, ?> map) {
      Map<Object, Object> copy = new LinkedHashMap<>();
      map.forEach((name, value) -> copy.put(plain(name), plain(value)));
      return copy;
    }
    return reply;
  }

  /** A map, which RESP2, and Lettuce in pushes, presents as a flat list. */
  @SuppressWarnings("unchecked")
  static Map<String, Object> fields(Object reply) {
    if (reply instanceof Map<?, ?> map) return (Map<String, Object>) map;
    List<Object> flat = (List<Object>) reply;
    Map<String, Object> fields = new LinkedHashMap<>();
    for (int i = 0; i < flat.size(); i += 2) fields.put((String) flat.get(i), flat.get(i + 1));
    return fields;
  }

  static void equal(Object actual, Object expected) {
    if (!Objects.equals(actual, expected)) throw new AssertionError(actual + " is not " + expected);
  }

  private static List<Object> streams(Object events) {
    return ((List<?>) events).stream().map(event -> fields(event).get("stream_id")).collect(Collectors.toList());
  }

  private Object bool(boolean value) {
    if (protocol == 3) return value;
    return value ? 1L : 0L;
  }

  private void refused(String start, String name, String... arguments) throws Exception {
    try {
      call(name, arguments);
    } catch (Exception error) {
      if (refusal().isInstance(error) && error.getMessage().startsWith(start)) return;
      throw new AssertionError(name + " fails with " + error);
    }
    throw new AssertionError(name + " was not refused");
  }

  private void connect() throws Exception {
    equal(ping(), "PONG");
    if (!info().contains("redis_version:")) throw new AssertionError("INFO: " + info());
    equal(fields(call("INFO", "CACHE")).get("block_size_bytes"), 65536L);
  }

  private void append() throws Exception {
    String[] arguments = {
      "user-123", "UserRegistered", "EVENT_ID", EVENT_ID, "PARTITION_KEY", USER_KEY, "EXPECTED_VERSION", "empty",
      "TIMESTAMP", "1700000000000", "PAYLOAD", PAYLOAD, "METADATA", "by hand",
    };
    Map<String, Object> appended = fields(call("EAPPEND", arguments));
    Map<String, Object> expected =
        Map.of("event_id", EVENT_ID, "partition_key", USER_KEY, "partition_id", 21L, "partition_sequence", 0L,
            "stream_version", 0L, "timestamp", 1700000000000L);
    equal(appended, expected);
    equal(fields(call("EAPPEND", arguments)), expected);
  }

  private void transaction() throws Exception {
    Map<String, Object> stored =
        fields(call("EMAPPEND", KEY, "a", "A", "EXPECTED_VERSION", "empty", "b", "B"));
    equal(stored.get("first_partition_sequence"), 0L);
    equal(stored.get("last_partition_sequence"), 1L);
    equal(streams(stored.get("events")), List.of("a", "b"));
  }

  private void checkEvent(Object reply) {
    Map<String, Object> event = fields(reply);
    if (!String.valueOf(event.get("transaction_id")).matches(UUID)) throw new AssertionError(event);
    Map<String, Object> expected = new LinkedHashMap<>();
    expected.put("event_id", EVENT_ID);
    expected.put("partition_key", USER_KEY);
    expected.put("partition_id", 21L);
    expected.put("transaction_id", event.get("transaction_id"));
    expected.put("partition_sequence", 0L);
    expected.put("stream_version", 0L);
    expected.put("timestamp", 1700000000000L);
    expected.put("stream_id", "user-123");
    expected.put("event_name", "UserRegistered");
    expected.put("metadata", "by hand");
    expected.put("payload", PAYLOAD);
    equal(new ArrayList<>(event.entrySet()), new ArrayList<>(expected.entrySet()));
  }

  private void read() throws Exception {
    checkEvent(call("EGET", EVENT_ID));
    equal(call("EGET", USER_KEY), null);
    equal(call("ESVER", "user-123"), 0L);
    equal(call("ESVER", "nobody"), null);
    equal(call("EPSEQ", "25"), 1L);
    equal(call("EPSEQ", "0"), null);

    Map<String, Object> stream = fields(call("ESCAN", "user-123", "-", "+"));
    equal(stream.get("has_more"), bool(false));
    List<?> events = (List<?>) stream.get("events");
    equal(events.size(), 1);
    checkEvent(events.get(0));

    Map<String, Object> partition = fields(call("EPSCAN", KEY, "0", "+", "COUNT", "1"));
    equal(partition.get("has_more"), bool(true));
    equal(streams(partition.get("events")), List.of("a"));
  }

  private void errors() throws Exception {
    refused("WRONGVER current stream version is 0 but expected empty",
        "EAPPEND", "user-123", "E", "EXPECTED_VERSION", "empty");
    refused("CLUSTERDOWN partition unavailable", "EPSCAN", "99", "-", "+");
    refused("INVALIDARG unknown command 'NOSUCH'", "NOSUCH");
    equal(ping(), "PONG");
  }

  private void roundTrip(String stream, String payload) throws Exception {
    call("EAPPEND", stream, "E", "PAYLOAD", payload, "METADATA", payload);
    List<?> events = (List<?>) fields(call("ESCAN", stream, "-", "+")).get("events");
    Map<String, Object> event = fields(events.get(0));
    if (!payload.equals(event.get("payload")) || !payload.equals(event.get("metadata"))) {
      throw new AssertionError("other bytes");
    }
  }

  private void binary() throws Exception {
    String everyByte = IntStream.range(0, 256).mapToObj(Character::toString).collect(Collectors.joining());
    roundTrip("binary", "\r\n\0$5\r\n" + everyByte);
  }

  private void large() throws Exception {
    roundTrip("large", "sierra\r\n".repeat(128 * 1024));
  }

  private void pipeline() throws Exception {
    List<Object> replies = pipeline(200, "EAPPEND", "many", "E");
    equal(replies.stream().map(reply -> fields(reply).get("stream_version")).collect(Collectors.toList()),
        IntStream.range(0, 200).mapToObj(Long::valueOf).collect(Collectors.toList()));
  }

  /** Cursor and version of the next events. */
  private static List<List<Object>> versions(Subscription subscription, int count) throws Exception {
    List<List<Object>> versions = new ArrayList<>();
    for (int i = 0; i < count; i += 1) {
      Map.Entry<Long, Map<String, Object>> push = subscription.next();
      versions.add(List.of(push.getKey(), push.getValue().get("stream_version")));
    }
    return versions;
  }

  private void refuseOnResp2() throws Exception {
    if (protocol == 3) return;
    refused("INVALIDARG subscriptions require RESP3", "ESUB", "user-123", "FROM", "0");
    equal(ping(), "PONG");
    throw new Absent("refused, RESP2 has no pushes");
  }

  private void subscribe() throws Exception {
    refuseOnResp2();
    for (int i = 0; i < 3; i += 1) call("EAPPEND", "live", "E");
    Subscription subscription = open("ESUB", "live", "FROM", "0");
    equal(versions(subscription, 3), List.of(List.of(0L, 0L), List.of(1L, 1L), List.of(2L, 2L)));
    for (int i = 0; i < 2; i += 1) call("EAPPEND", "live", "E", "PAYLOAD", "five\r\n");
    equal(versions(subscription, 1), List.of(List.of(3L, 3L)));
    Map.Entry<Long, Map<String, Object>> last = subscription.next();
    equal(last.getKey(), 4L);
    equal(last.getValue().get("stream_id"), "live");
    equal(last.getValue().get("payload"), "five\r\n");
    equal(subscription.call("EUNSUB", subscription.id()), "OK");

    Subscription partition = open("EPSUB", KEY, "FROM", "0");
    for (String stream : List.of("a", "b")) equal(partition.next().getValue().get("stream_id"), stream);
  }

  private void window() throws Exception {
    refuseOnResp2();
    Subscription subscription = open("ESUB", "many", "FROM", "10", "WINDOW", "2");
    for (long cursor = 0; cursor < 10; cursor += 2) {
      equal(versions(subscription, 2), List.of(List.of(cursor, 10 + cursor), List.of(cursor + 1, 11 + cursor)));
      equal(subscription.call("EACK", subscription.id(), String.valueOf(cursor + 1)), "OK");
    }
  }

  private interface Check {
    void run() throws Exception;
  }

  private static void run(String name, Check check) {
    String outcome;
    try {
      check.run();
      outcome = "\"passed\"";
    } catch (Absent absent) {
      outcome = "\"absent\",\"reason\":" + quote(absent.getMessage());
    } catch (Exception | AssertionError error) {
      outcome = "\"failed\",\"message\":" + quote(String.valueOf(error));
    }
    System.out.println("{\"check\":\"" + name + "\",\"outcome\":" + outcome + "}");
  }

  private static String quote(String text) {
    return '"' + text.replaceAll("[\\p{Cntrl}]", " ").replace("\\", "\\\\").replace("\"", "\\\"") + '"';
  }

  void report(String version) {
    System.out.println("{\"version\":" + quote(version) + ",\"protocol\":" + protocol + "}");
    run("connect", this::connect);
    run("append", this::append);
    run("transaction", this::transaction);
    run("read", this::read);
    run("errors", this::errors);
    run("binary", this::binary);
    run("large", this::large);
    run("pipeline", this::pipeline);
    run("subscribe", this::subscribe);
    run("window", this::window);
  }
}
