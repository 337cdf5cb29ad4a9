import io.lettuce.core.LettuceVersion;
import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisCommandExecutionException;
import io.lettuce.core.RedisFuture;
import io.lettuce.core.api.StatefulRedisConnection;
import io.lettuce.core.codec.ByteArrayCodec;
import io.lettuce.core.protocol.CommandArgs;
import io.lettuce.core.protocol.ProtocolKeyword;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Driver: LettuceDriver PORT. Events arrive at a push listener. */
final class LettuceDriver extends Driver {
  private final StatefulRedisConnection<byte[], byte[]> connection;
  private final BlockingQueue<List<?>> pushes = new LinkedBlockingQueue<>();

  private LettuceDriver(RedisClient client) {
    super(3);
    connection = client.connect(ByteArrayCodec.INSTANCE);
    connection.addListener(push -> {
      if (push.getType().equals("message")) pushes.add((List<?>) plain(push.getContent(LettuceDriver::text)));
    });
  }

  private static Object text(java.nio.ByteBuffer buffer) {
    byte[] bytes = new byte[buffer.remaining()];
    buffer.get(bytes);
    return bytes;
  }

  private RedisFuture<Object> send(String name, String... arguments) {
    ProtocolKeyword keyword = () -> bytes(name);
    CommandArgs<byte[], byte[]> list = new CommandArgs<>(ByteArrayCodec.INSTANCE);
    for (String argument : arguments) list.add(bytes(argument));
    return connection.async().dispatch(keyword, new LettuceReply(), list);
  }

  private static Object await(RedisFuture<Object> reply) throws Exception {
    try {
      return plain(reply.get(20, TimeUnit.SECONDS));
    } catch (ExecutionException error) {
      throw error.getCause() instanceof Exception cause ? cause : error;
    }
  }

  @Override
  Object call(String name, String... arguments) throws Exception {
    return await(send(name, arguments));
  }

  @Override
  Class<? extends Exception> refusal() {
    return RedisCommandExecutionException.class;
  }

  @Override
  String ping() {
    return connection.sync().ping();
  }

  @Override
  String info() {
    return connection.sync().info();
  }

  @Override
  List<Object> pipeline(int times, String name, String... arguments) throws Exception {
    List<RedisFuture<Object>> sent = new ArrayList<>();
    for (int i = 0; i < times; i += 1) sent.add(send(name, arguments));
    List<Object> replies = new ArrayList<>();
    for (RedisFuture<Object> reply : sent) replies.add(await(reply));
    return replies;
  }

  @Override
  Subscription open(String name, String... arguments) throws Exception {
    String id = (String) call(name, arguments);
    return new Subscription() {
      @Override
      public String id() {
        return id;
      }

      @Override
      public Object call(String name, String... arguments) throws Exception {
        return LettuceDriver.this.call(name, arguments);
      }

      @Override
      public Map.Entry<Long, Map<String, Object>> next() throws Exception {
        List<?> push = pushes.poll(20, TimeUnit.SECONDS);
        if (push == null) throw new TimeoutException("no push within 20 seconds");
        equal(push.get(1), id);
        return Map.entry((Long) push.get(2), fields(push.get(3)));
      }
    };
  }

  public static void main(String[] arguments) {
    RedisClient client = RedisClient.create("redis://127.0.0.1:" + arguments[0]);
    LettuceDriver driver = new LettuceDriver(client);
    // Behind the slash is the commit.
    driver.report(LettuceVersion.getVersion().split("/")[0]);
    driver.connection.close();
    client.shutdown(0, 2, TimeUnit.SECONDS);
  }
}
