import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Collectors;
import redis.clients.jedis.Connection;
import redis.clients.jedis.DefaultJedisClientConfig;
import redis.clients.jedis.HostAndPort;
import redis.clients.jedis.JedisClientConfig;
import redis.clients.jedis.Pipeline;
import redis.clients.jedis.RedisClient;
import redis.clients.jedis.Response;
import redis.clients.jedis.commands.ProtocolCommand;
import redis.clients.jedis.exceptions.JedisDataException;

/** Driver: JedisDriver PORT default|server-default. Events are read from a connection of one's own. */
final class JedisDriver extends Driver {
  private final HostAndPort address;
  private final JedisClientConfig config;
  private final RedisClient client;

  private JedisDriver(int port, int protocol) {
    super(protocol);
    address = new HostAndPort("127.0.0.1", port);
    DefaultJedisClientConfig.Builder builder = DefaultJedisClientConfig.builder();
    config = protocol == 2 ? builder.serverDefaultProtocol().build() : builder.build();
    client =
        protocol == 2
            ? RedisClient.builder().hostAndPort(address).clientConfig(config).build()
            : RedisClient.create(address);
  }

  private static String versionOf(Class<?> library) throws IOException {
    Properties properties = new Properties();
    properties.load(library.getResourceAsStream("/META-INF/maven/redis.clients/jedis/pom.properties"));
    return properties.getProperty("version");
  }

  private static ProtocolCommand command(String name) {
    return () -> bytes(name);
  }

  @Override
  Object call(String name, String... arguments) {
    return plain(client.sendCommand(command(name), bytes(arguments)));
  }

  @Override
  Class<? extends Exception> refusal() {
    return JedisDataException.class;
  }

  @Override
  String ping() {
    return client.ping();
  }

  @Override
  String info() {
    return client.info();
  }

  @Override
  List<Object> pipeline(int times, String name, String... arguments) {
    List<Response<Object>> responses = new ArrayList<>();
    try (Pipeline pipeline = client.pipelined()) {
      for (int i = 0; i < times; i += 1) responses.add(pipeline.sendCommand(command(name), bytes(arguments)));
    }
    return responses.stream().map(response -> plain(response.get())).collect(Collectors.toList());
  }

  @Override
  Subscription open(String name, String... arguments) {
    return new OwnConnection(name, arguments);
  }

  /** Replies and pushes of one connection, in the order of the wire: a push is a list that begins with its kind. */
  private final class OwnConnection implements Subscription {
    private final Connection connection = new Connection(address, config);
    private final Deque<List<?>> pushes = new ArrayDeque<>();
    private final String id;

    OwnConnection(String name, String... arguments) {
      id = (String) call(name, arguments);
    }

    @Override
    public String id() {
      return id;
    }

    @Override
    public Object call(String name, String... arguments) {
      connection.sendCommand(command(name), bytes(arguments));
      while (true) {
        Object reply = plain(connection.getOne());
        if (!(reply instanceof List<?> push)) return reply;
        pushes.add(push);
      }
    }

    @Override
    public Map.Entry<Long, Map<String, Object>> next() {
      while (true) {
        List<?> push = pushes.isEmpty() ? (List<?>) plain(connection.getOne()) : pushes.remove();
        if (!push.get(0).equals("message")) continue;
        equal(push.get(1), id);
        return Map.entry((Long) push.get(2), fields(push.get(3)));
      }
    }
  }

  public static void main(String[] arguments) throws IOException {
    JedisDriver driver = new JedisDriver(Integer.parseInt(arguments[0]), arguments[1].equals("server-default") ? 2 : 3);
    driver.report(versionOf(RedisClient.class));
    driver.client.close();
  }
}
